"""What is enqueued wrongly is refused with nothing stored; what is enqueued rightly runs; and it stays readable."""

from __future__ import annotations

import functools
import threading
from datetime import datetime, timedelta

import pytest

from django_loco.core.compat import InvalidTask, TaskResultStatus, task_backends
from django_loco.core.job import SUCCESSFUL, retry
from django_loco.exceptions import InvalidArguments
from django_loco.queues import Claim, queue_for
from django_loco.queues.memory.queue import MAX_RESULTS
from django_loco.tasks import backoff_function, enqueue_many, task

begun = threading.Semaphore(0)
go_on = threading.Event()
ran_in: list[tuple[str, int | None]] = []


@task
def quick(number: int = 0) -> int:
    return number


@task
def slow(caller: str) -> None:
    ran_in.append((caller, threading.get_ident()))
    begun.release()
    go_on.wait(5)


@backoff_function
def removed(error, result):
    return 1


def local_error() -> type[Exception]:
    class LocalError(Exception):
        pass

    return LocalError


@pytest.mark.django_db
@pytest.mark.parametrize(
    "options",
    [
        {"backoff": lambda error, result: 1},
        {"backoff": functools.partial(max, 1)},
        {"retry_on": [local_error()]},
        {"no_retry_on": ["no.such.Error"]},
    ],
)
def test_an_option_that_no_worker_could_import_is_refused_and_nothing_is_stored(options):
    with pytest.raises(InvalidTask):
        quick.using(**options).enqueue()
    assert queue_for("default").counts() == {}


@pytest.mark.django_db
@pytest.mark.parametrize("delay", [timedelta(days=10**7), timedelta(days=-(10**6))])
def test_a_time_beyond_the_calendar_is_refused_by_name(delay):
    with pytest.raises((InvalidTask, ValueError), match="run_after"):
        quick.using(run_after=delay).enqueue()


@pytest.mark.django_db
def test_a_result_can_be_read_when_what_its_options_name_is_gone(monkeypatch):
    result = quick.using(backoff=removed).enqueue()
    monkeypatch.delitem(retry._marked, f"{__name__}.removed")
    assert task_backends["default"].get_result(result.id).id == result.id


@pytest.mark.django_db
def test_a_thousand_queues_are_not_too_many():
    quick.enqueue(1)
    queues = ("default", *(f"queue_{number}" for number in range(1_000)))
    assert len(queue_for("default").fetch(Claim(worker_id="w", lease=30, threads=1, queues=queues))) == 1


def test_in_the_foreground_many_jobs_may_be_enqueued_at_once(settings):
    settings.WORKER_MODE = "ForegroundBlocking"
    results = enqueue_many(quick, range(MAX_RESULTS + 1))
    assert {result.status for result in results} == {SUCCESSFUL}


def test_in_the_foreground_a_call_runs_its_own_jobs_and_no_others(settings):
    """Another thread, such as another request, must not run them, in a transaction that is not its caller's."""
    settings.WORKER_MODE = "ForegroundBlocking"
    ran_in.clear()
    statuses: list[TaskResultStatus] = []
    many = threading.Thread(target=lambda: statuses.extend(one.status for one in enqueue_many(slow, ["many", "many"])))
    one = threading.Thread(target=lambda: statuses.append(slow.enqueue("one").status))
    many.start()
    begun.acquire(timeout=5)
    one.start()
    begun.acquire(timeout=5)
    go_on.set()
    many.join(10)
    one.join(10)
    assert sorted(ran_in) == sorted([("many", many.ident), ("many", many.ident), ("one", one.ident)])
    assert statuses == [SUCCESSFUL] * 3


def test_a_time_without_a_zone_is_refused_with_a_remedy():
    with pytest.raises(InvalidTask, match=r"must be an aware datetime\. 2030-01-01 .* pass it to timezone.make_aware"):
        quick.using(run_after=datetime(2030, 1, 1))  # noqa: DTZ001 - the mistake


def test_a_number_that_json_lacks_is_refused_with_a_remedy():
    with pytest.raises(InvalidArguments, match=r"not JSON compliant.* Pass None or text in its place"):
        quick.enqueue(float("nan"))
