"""Jobs that end by ``Snooze`` or ``Discard``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import timedelta
from typing import Any

import pytest

from django_loco.core.compat import TASKS_LOGGER, task_finished, task_started
from django_loco.core.job import DISCARDED, EXPIRED, FAILED, READY, SUCCESSFUL, Outcome, utcnow
from django_loco.exceptions import Discard, InvalidStep
from django_loco.jobs.states import state_of
from django_loco.log import sentry
from django_loco.signals import job_cancelled, job_retried
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.execution.attempt import INTERRUPTION_DELAY, Attempt
from django_loco.worker.execution.executor import aexecute, execute
from django_loco.worker.fetching.closed_limits import ClosedLimits

from ..support import claimed_of, job
from ..tasks import told

SOON = timedelta(seconds=5)


def claimed_with(name: str, *args: Any, closed_limits: ClosedLimits | None = None, **fields: Any) -> ClaimedJob:
    claimed = claimed_of(name, *args, **fields)
    claimed.closed_limits = closed_limits or claimed.closed_limits
    return claimed


def on_a_thread(name: str, *args: Any, **fields: Any) -> Outcome:
    outcome = copy_context().run(execute, claimed_with(name, *args, **fields))
    assert outcome is not None
    return outcome


def on_a_loop(name: str, *args: Any, **fields: Any) -> Outcome:
    async def main() -> Outcome | None:
        return await aexecute(claimed_with(f"a{name}", *args, **fields), lambda attempt: attempt.begin())

    outcome = copy_context().run(asyncio.run, main())
    assert outcome is not None
    return outcome


@pytest.fixture(params=[on_a_thread, on_a_loop])
def ended(request: pytest.FixtureRequest) -> Callable[..., Outcome]:
    run: Callable[..., Outcome] = request.param
    return run


@contextmanager
def hearing(*signals: Any) -> Iterator[list[Any]]:
    heard: list[Any] = []

    def receive(signal: Any, **values: Any) -> None:
        heard.append(signal)

    for signal in signals:
        signal.connect(receive)
    yield heard
    for signal in signals:
        signal.disconnect(receive)


def test_a_snoozed_job_is_due_later_and_has_spent_nothing(ended, caplog):
    caplog.set_level(logging.INFO)
    with hearing(task_finished, job_retried) as heard:
        outcome = ended("snooze", 60)
    assert (outcome.status, outcome.spent, outcome.error, outcome.kind) == (READY, False, None, "snoozed")
    assert abs(outcome.run_after - utcnow() - timedelta(seconds=60)) < SOON
    after = outcome.applied()
    assert (after.attempt, after.errors, after.checkpoint) == (1, (), '"half"')
    assert heard == []
    [line] = [record for record in caplog.records if "snoozed" in record.getMessage()]
    assert (line.levelname, line.name) == ("INFO", "django_loco.worker")
    assert "snooze is snoozed; the next run is due in 60.0 s" in line.getMessage()
    assert not line.exc_info


def test_long_pauses_are_told_in_days_and_hours(ended, caplog):
    caplog.set_level(logging.INFO)
    ended("snooze", 2 * 86_400 + 3_600)
    assert "the next run is due in 2 d 1 h" in caplog.messages[-1]


@pytest.mark.parametrize(("limit", "closed"), [(None, ["api:7", "db"]), ("api", ["api:7"])])
def test_a_throttled_job_lets_no_other_of_its_limits_begin(ended, settings, limit, closed):
    settings.LOCO = {"LIMITS": {"api": {"concurrency": 5}, "db": {"concurrency": 5}}}
    keys = ClosedLimits()
    outcome = ended("throttle", limit, limit_key="api:7 db", closed_limits=keys)
    assert [*outcome.closes] == closed
    others = {
        limit_key: ended("note", "it ran", limit_key=limit_key, closed_limits=keys)
        for limit_key in ("api:7", "db", "mail", None)
    }
    assert [limit_key for limit_key, other in others.items() if other.status == READY] == closed
    assert {(other.spent, other.run_after) for other in others.values() if other.status == READY} == {(False, None)}


def test_a_limit_that_is_not_declared_holds_no_other_job_back(ended, settings):
    """The store hands them over again and again, so a worker that refused them would have no rest."""
    settings.LOCO = {"LIMITS": {"db": {"concurrency": 5}}}
    keys = ClosedLimits()
    outcome = ended("throttle", limit_key="api:7 db", closed_limits=keys)
    assert [*outcome.closes] == ["api:7", "db"]
    assert ended("note", "it ran", limit_key="api:7", closed_limits=keys).status == SUCCESSFUL
    assert ended("note", "it ran", limit_key="db", closed_limits=keys).status == READY


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_time_that_has_passed_is_soon(ended, seconds):
    """Else such a job would keep its worker busy."""
    before = utcnow()
    outcome = ended("snooze", seconds)
    assert before + INTERRUPTION_DELAY <= outcome.run_after <= utcnow() + INTERRUPTION_DELAY


def test_a_wrong_time_is_an_error_as_any_other(ended):
    outcome = ended("snooze", "soon")
    assert (outcome.status, outcome.spent) == (READY, True)
    assert "Snooze takes a number of seconds or a timedelta, not 'soon'" in outcome.error.traceback


@pytest.mark.parametrize("name", ["note", "anote"])
def test_a_worker_runs_no_job_that_has_expired_and_says_so_when_that_is_stored(queue, start, name):
    with hearing(task_started, task_finished, job_cancelled) as heard:
        [late, missing] = queue.enqueue([job(name, "late", expires_at=utcnow()), job("gone", expires_at=utcnow())])
        worker = start(drain=True)
        assert worker.join(20)
    assert told == []
    assert heard == [task_finished, job_cancelled] * 2
    for each in (late, missing):
        ended = queue.get(each.id)
        assert (ended.status, ended.errors[0].exception_class_path, ended.worker_ids) == (FAILED, EXPIRED, ())
    assert {minute.labels.outcome for minute in queue.totals()} == {"expired"}


def test_a_discarded_job_has_ended_for_good(ended, caplog, monkeypatch):
    reported: list[BaseException] = []
    monkeypatch.setattr(sentry, "report", reported.append)
    caplog.set_level(logging.INFO)
    with hearing(task_finished, job_cancelled, job_retried) as heard:
        outcome = ended("discard", "the customer\nhas left")
    assert (outcome.status, outcome.spent, outcome.kind) == (FAILED, True, "cancelled")
    assert outcome.error.exception_class_path == DISCARDED
    assert state_of(outcome.applied(), utcnow()) == "cancelled"
    assert heard == [task_finished, job_cancelled]
    assert reported == []
    [line] = [record for record in caplog.records if "discarded" in record.getMessage()]
    assert line.levelname == "INFO"
    assert "discard has discarded itself: the customer" in line.getMessage()
    assert not [record for record in caplog.records if record.name == TASKS_LOGGER and record.levelno > logging.INFO]


class WithoutReason(Discard):
    def __str__(self) -> str:
        raise RuntimeError("it has no text")


def test_a_class_of_a_project_discards_a_job_too(caplog):
    def call(attempt: Attempt) -> None:
        raise WithoutReason

    with hearing(task_finished, job_cancelled) as heard:
        outcome = copy_context().run(execute, claimed_with("discard", "why"), call)
    assert outcome is not None
    assert (outcome.kind, state_of(outcome.applied(), utcnow())) == ("cancelled", "cancelled")
    assert heard == [task_finished, job_cancelled]
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_the_end_of_a_job_that_is_discarded_with_an_object_without_a_text_is_announced(caplog):
    class Unreadable:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def call(attempt: Attempt) -> None:
        raise Discard(Unreadable())

    caplog.set_level(logging.INFO)
    with hearing(task_finished, job_cancelled) as heard:
        copy_context().run(execute, claimed_with("discard", "why"), call)
    assert heard == [task_finished, job_cancelled]
    assert "discard has discarded itself: <Discard, of which str() raises RuntimeError>" in caplog.text


@pytest.mark.parametrize(("kind", "reports"), [(Discard, []), (InvalidStep, [InvalidStep])])
def test_what_a_task_group_says_is_logged_and_reported_as_the_job_said_it(caplog, monkeypatch, kind, reports):
    def call(attempt: Attempt) -> None:
        raise ExceptionGroup("unhandled errors in a TaskGroup", [kind("the customer has left")])

    reported: list[BaseException] = []
    monkeypatch.setattr(sentry, "report", reported.append)
    caplog.set_level(logging.INFO)
    copy_context().run(execute, claimed_with("discard", "why"), call)
    lines = [record.getMessage() for record in caplog.records if "discarded" in record.getMessage()]
    assert [line.rpartition(": ")[2] for line in lines] == ["the customer has left"] * (kind is Discard)
    assert [type(error) for error in reported] == reports
