"""A task that is misspelt is told, with the one that was meant."""

from __future__ import annotations

import pytest

from django_loco.core.job import Job
from django_loco.jobs.presentation.known_tasks import require_known_task
from django_loco.queues import queue_for
from django_loco.queues.records.minutes import NUMBERS, TOTAL, Labels, Minute


def test_a_task_of_this_code_is_known():
    require_known_task("tests.app.tasks.add", ["default"])


def test_a_task_with_jobs_in_the_store_is_known():
    with pytest.raises(ValueError, match=r"no task .* is known"):
        require_known_task("shop.old", ["default", "other"])
    queue_for("other").enqueue([Job(task_path="shop.old", backend="other")])
    require_known_task("shop.old", ["default", "other"])
    with pytest.raises(ValueError, match=r"no task .* is known"):
        require_known_task("shop.old", ["default"])


def test_a_task_that_has_run_is_known():
    numbers = tuple(dict.fromkeys(NUMBERS, 1).values())
    queue_for("default").record([Minute(Labels(TOTAL + 1, "default", "shop.gone", "failed"), numbers)])
    require_known_task("shop.gone", ["default"])
    with pytest.raises(ValueError, match=r"Did you mean 'shop\.gone'\? To pause it all the same, use force=True"):
        require_known_task("shop.gon", ["default"])


@pytest.mark.parametrize("path", ["tests.app.tasks.ad", "tests.app.task.add", "add"])
def test_the_most_similar_path_is_named(path):
    with pytest.raises(ValueError, match="is known: neither this code") as caught:
        require_known_task(path, ["default"])
    assert ("Did you mean 'tests.app.tasks.add'?" in str(caught.value)) is (path != "add")
