"""People are told of a task or a queue that they have misspelt, with the one that they may have meant."""

from __future__ import annotations

import pytest

from django_loco.core.job import Job
from django_loco.jobs.language import filter_of
from django_loco.jobs.presentation.known_names import unknown_names, unknown_task
from django_loco.queues import queue_for
from django_loco.queues.records.minutes import NUMBERS, TOTAL, Labels, Minute


def test_a_task_of_this_code_is_known():
    assert unknown_task("tests.app.tasks.add", ["default"]) is None


def test_a_task_with_jobs_in_the_store_is_known():
    assert unknown_task("shop.old", ["default", "other"]) is not None
    queue_for("other").enqueue([Job(task_path="shop.old", backend="other")])
    assert unknown_task("shop.old", ["default", "other"]) is None
    assert unknown_task("shop.old", ["default"]) is not None


def test_a_task_that_has_run_is_known():
    numbers = tuple(dict.fromkeys(NUMBERS, 1).values())
    queue_for("default").record([Minute(Labels(TOTAL + 1, "default", "shop.gone", "failed"), numbers)])
    assert unknown_task("shop.gone", ["default"]) is None
    assert unknown_task("shop.gon", ["default"]) == (
        "no task 'shop.gon' is known: neither this code has it, nor do jobs in the stores. Did you mean 'shop.gone'?"
    )


@pytest.mark.parametrize("path", ["tests.app.tasks.ad", "tests.app.task.add", "add"])
def test_the_most_similar_path_is_named(path):
    text = unknown_task(path, ["default"])
    assert ("Did you mean 'tests.app.tasks.add'?" in text) is (path != "add")


def unknown(text: str) -> list[str]:
    return [*unknown_names(filter_of(text, {}))]


def test_a_filter_with_a_queue_that_no_alias_has():
    assert unknown("queue:urgent") == ["There is no queue 'urgent'."]
    queue_for("other").enqueue([Job(task_path="shop.old", backend="other", queue_name="urgently")])
    assert unknown("queue:urgent") == ["There is no queue 'urgent'. Did you mean 'urgently'?"]
    assert unknown("queue:urgently") == unknown("queue:urgently backend:other") == []
    assert unknown("queue:urgently backend:default") == ["There is no queue 'urgently'."]


def test_a_filter_with_a_task_that_is_not_known():
    assert unknown("task:tests.app.tasks.ad status:failed") == [
        "There is no task 'tests.app.tasks.ad'. Did you mean 'tests.app.tasks.add'?"
    ]
    assert unknown("task:tests.app.tasks.add") == []


def test_a_filter_with_a_limit_that_is_not_declared(settings):
    settings.LOCO = {"LIMITS": {"api": {"concurrency": 1}}}
    assert unknown("limit:apii") == unknown("limit:apii:42") == ["There is no limit 'apii'. Did you mean 'api'?"]
    assert unknown("limit:api limit:api:42 -limit:apii limit:ap*") == []


def test_patterns_and_what_a_filter_leaves_out_need_not_be_known():
    assert unknown("-queue:urgent queue:ur* queue:default task:gone.* task:gone -task:tests.app.tasks.ad") == []


def test_each_unknown_name_is_told_once():
    assert unknown("queue:x1,y2 queue:x1") == ["There is no queue 'x1'.", "There is no queue 'y2'."]
