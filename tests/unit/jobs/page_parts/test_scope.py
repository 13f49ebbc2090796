"""What somebody sees: of which queues, tasks and jobs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from django_loco.checks.settings import check_dashboard
from django_loco.core.job import Job, new_id
from django_loco.exceptions import FilterError, LocoConfigurationError
from django_loco.jobs.language import filter_of
from django_loco.jobs.language.words import WORDS
from django_loco.jobs.page_parts.addresses import MOST_WORDS
from django_loco.jobs.page_parts.scope import (
    BY_QUEUE,
    BY_TASK,
    EVERYTHING,
    MOST_CONDITIONS,
    Scope,
    scope_function,
    scope_of,
)
from django_loco.queues.records.minutes import NUMBERS, Labels, Minute

HERE = "tests.app.tenants"


def scope(text):
    return Scope(filter_of(text, {}))


def request_of(name):
    request = HttpRequest()
    request.user = SimpleNamespace(first_name=name)
    return request


@pytest.fixture
def seen_by(settings):
    settings.LOCO = {"DASHBOARD": f"{HERE}.seen_by"}


@pytest.mark.parametrize(
    ("text", "by_queue", "by_task"),
    [
        ("queue:acme", True, True),
        ("queue:acme-* backend:default", True, True),
        ("task:shop.*", False, True),
        ("queue:acme tag:x", False, False),
        ("args.tenant:7", False, False),
    ],
)
def test_by_what_it_is_narrowed(text, by_queue, by_task):
    assert scope(text).is_made_of(BY_QUEUE) is by_queue
    assert scope(text).is_made_of(BY_TASK) is by_task
    assert scope(text).is_narrowed
    assert EVERYTHING.is_made_of(())
    assert not EVERYTHING.is_narrowed


@pytest.mark.parametrize(
    ("text", "acme", "other"),
    [
        ("queue:acme", True, False),
        ("queue:ac*", True, False),
        ("-queue:other", True, False),
        ("backend:default", True, True),
        ("task:shop.*", False, False),
        ("queue:acme tag:x", False, False),
    ],
)
def test_queues_of_which_it_has_all_jobs(text, acme, other):
    assert [scope(text).sees_queue("default", name) for name in ("acme", "other")] == [acme, other]


def test_tasks_of_which_it_has_all_jobs():
    assert scope("task:shop.* queue:acme").sees_task("default", "acme", "shop.tasks.pay")
    assert not scope("task:shop.* queue:acme").sees_task("default", "other", "shop.tasks.pay")
    assert not scope("task:shop.*").sees_task("default", "acme", "blog.tasks.pay")
    assert not scope("tag:x").sees_task("default", "acme", "shop.tasks.pay")
    assert EVERYTHING.sees_task("default", "acme", "shop.tasks.pay")


@pytest.mark.parametrize(
    ("text", "acme", "other"),
    [("queue:acme tag:x", True, False), ("tag:x", True, True), ("", True, True), ("-queue:other", True, False)],
)
def test_where_its_jobs_may_be_moved(text, acme, other):
    assert [scope(text).may_move_to(name) for name in ("acme", "other")] == [acme, other]


def test_one_of_its_jobs():
    job = Job(task_path="shop.pay", backend="default", queue_name="acme", tags=("x",), arguments='[[], {"tenant": 7}]')
    assert all(scope(text).sees(job) for text in ("tag:x", "args.tenant:7", "task:shop.pay queue:acme"))
    assert not any(scope(text).sees(job) for text in ("tag:y", "args.tenant:8", "tag:x queue:other"))


def test_minutes_that_count_its_jobs():
    numbers = tuple(range(len(NUMBERS)))
    minutes = [Minute(Labels(1, queue, task, "failed"), numbers) for queue in "ab" for task in ("a.x", "a.y")]

    def labels(text):
        return [(each.labels.queue_name, each.labels.task_path) for each in scope(text).minutes("default", minutes)]

    assert labels("queue:a") == [("a", "a.x"), ("a", "a.y")]
    assert labels("task:a.y") == [("a", "a.y"), ("b", "a.y")]
    assert labels("tag:x") == []
    assert EVERYTHING.minutes("default", minutes) is minutes


def test_a_page_takes_no_filter_that_is_very_long():
    long = "tag:" + "a" * MOST_WORDS
    many = "tag:a " * (MOST_CONDITIONS + 1)
    for seen in (EVERYTHING, scope(long)):
        with pytest.raises(
            FilterError, match=r"^The filter has 2,004 characters; pages take 2,000 at most\. For more, use"
        ):
            seen.filter(long)
        with pytest.raises(FilterError, match=r"^The filter has 26 conditions; pages take 25 at most"):
            seen.filter(many)
        seen.filter(long[:MOST_WORDS], id=[new_id() for _ in range(1_000)])
        seen.filter("tag:a " * MOST_CONDITIONS, tag="a")
    assert len(WORDS) < MOST_CONDITIONS


def test_without_the_setting_everybody_sees_everything(settings):
    settings.LOCO = {}
    assert scope_function() is None
    assert scope_of(request_of("queue:acme")) is EVERYTHING


def test_the_function_says_what_is_seen(seen_by):
    assert str(scope_of(request_of("queue:acme tag:x"))) == "queue:acme tag:x"
    assert scope_of(request_of("")) is EVERYTHING
    with pytest.raises(PermissionDenied):
        scope_of(request_of("nobody"))


def test_it_is_asked_once_for_a_request(seen_by):
    request = request_of("queue:acme")
    known = scope_of(request)
    request.user.first_name = ""
    assert scope_of(request) is known


@pytest.mark.parametrize("name", ['acme" status:failed,x', "*", "acm?"])
def test_a_search_cannot_be_widened_by_what_is_in_a_name(settings, name):
    settings.LOCO = {"DASHBOARD": f"{HERE}.search_for"}
    seen = scope_of(request_of(name))
    assert seen.sees_queue("default", name)
    assert not seen.sees_queue("default", "acme")
    assert seen.may_move_to(name)
    assert not seen.may_move_to("acme")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("number", "seen_by has returned 7. It must be a filter"),
        ("all", "That matches all jobs. To show somebody everything, return None."),
        ("empty", "That matches all jobs."),
        ("slice", "It must be a filter"),
        ("stauts:failed", "Did you mean 'status'?"),
    ],
)
def test_an_answer_that_makes_no_sense_shows_nothing(seen_by, name, told):
    with pytest.raises(LocoConfigurationError, match=r"^LOCO\['DASHBOARD'\]") as error:
        scope_of(request_of(name))
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (f"{HERE}.sean_by", "cannot be imported"),
        ("nonsense", "cannot be imported"),
        (f"{HERE}.NOTHING_CALLABLE", "must be a function"),
        (f"{HERE}.PermissionDenied", "must be a function"),
        (f"{HERE}.in_vain", "must be a function"),
    ],
)
def test_a_path_to_no_function_is_found_by_a_check(settings, path, told):
    settings.LOCO = {"DASHBOARD": path}
    (message,) = check_dashboard()
    assert message.id == "loco.E009"
    assert told in message.msg
    assert repr(path) in message.msg
    with pytest.raises(LocoConfigurationError):
        scope_of(request_of(""))


def test_a_function_passes_the_check(seen_by):
    assert not [*check_dashboard()]
