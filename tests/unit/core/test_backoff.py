"""Back-off: the pauses grow, have a limit and differ; each outage is logged once."""

from __future__ import annotations

import logging

import pytest

from django_loco.core.backoff import Backoff, LoggedBackoff, exponential_delay, log_as_one
from django_loco.core.threads import NoThread
from django_loco.exceptions import QueueUnavailable
from django_loco.log.safe import get_logger


def delays(backoff: Backoff, count: int) -> list[float]:
    return [round(backoff.failed(), 3) for _ in range(count)]


def test_delays_double_up_to_the_longest():
    assert delays(Backoff(1.0, 30.0, jitter=lambda: 0.5), 7) == [1, 2, 4, 8, 16, 30, 30]


def test_many_failures_do_not_overflow():
    assert exponential_delay(100_000, first=1.0, longest=30.0, jitter=lambda: 0.5) == 30.0


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 3.0), (0.5, 4.0), (1.0, 5.0)])
def test_the_jitter_makes_a_delay_shorter_or_longer_by_the_spread(jitter, seconds):
    assert exponential_delay(3, first=1.0, longest=30.0, spread=0.25, jitter=lambda: jitter) == seconds


def test_the_next_try_is_due_after_the_delay():
    now = 100.0
    backoff = Backoff(2.0, 30.0, spread=0.0, clock=lambda: now)
    assert backoff.is_due
    backoff.failed()
    assert (backoff.retry_at, backoff.is_due) == (102.0, False)
    now = 102.0
    assert backoff.is_due


def test_a_success_forgets_the_failures():
    backoff = Backoff(1.0, 30.0, spread=0.0)
    backoff.failed()
    backoff.failed()
    assert backoff.failures == 2
    backoff.succeeded()
    assert (backoff.failures, backoff.is_due, backoff.failed()) == (0, True, 1.0)


@pytest.fixture
def logged() -> LoggedBackoff:
    return LoggedBackoff(get_logger("django_loco.test"), "The clerk", "file letters", 1.0, 5.0)


def test_an_outage_is_logged_once_and_so_is_its_end(logged, caplog):
    with caplog.at_level(logging.INFO, "django_loco.test"):
        for _ in range(3):
            logged.failed(QueueUnavailable("gone"))
        assert logged.reason == "QueueUnavailable: gone"
        logged.succeeded()
        logged.succeeded()
    assert [record.getMessage() for record in caplog.records] == [
        "The clerk cannot file letters for now: gone",
        "The clerk can file letters again, after 3 tries",
    ]
    assert caplog.records[0].exc_info is None
    assert logged.reason == ""


def test_an_unexpected_error_is_logged_with_its_traceback(logged, caplog):
    logged.failed(ZeroDivisionError("oops"))
    assert caplog.records[0].exc_info


def test_a_system_without_more_threads_needs_no_traceback(logged, caplog):
    logged.failed(NoThread("there are none"))
    [record] = caplog.records
    assert (record.getMessage(), record.exc_info) == ("The clerk cannot file letters for now: there are none", None)


def test_an_error_that_follows_an_outage_is_logged_once_with_its_traceback(logged, caplog):
    for _ in range(3):
        for error in (QueueUnavailable("gone"), ZeroDivisionError("oops")):
            logged.failed(error)
    assert [(record.getMessage(), bool(record.exc_info)) for record in caplog.records] == [
        ("The clerk cannot file letters for now: gone", False),
        ("The clerk cannot file letters for now: oops", True),
    ]
    logged.succeeded()
    logged.failed(ZeroDivisionError("oops"))
    assert len(caplog.records) == 3


def test_one_with_an_error_of_its_own_does_not_quieten_the_outage_of_others(logged, caplog):
    other = LoggedBackoff(get_logger("django_loco.test"), "The clerk", "read letters", 1.0, 5.0)
    log_as_one([logged, other])
    logged.failed(QueueUnavailable("gone"))
    logged.failed(ZeroDivisionError("oops"))
    other.failed(QueueUnavailable("gone again"))
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 3


def test_the_cause_of_an_outage_is_logged_once(logged, caplog):
    caplog.set_level("INFO")
    other = LoggedBackoff(get_logger("django_loco.test"), "The clerk", "read letters", 1.0, 5.0)
    log_as_one([logged, other])
    for _ in range(2):
        logged.failed(QueueUnavailable("gone"))
        other.failed(QueueUnavailable("gone"))
        logged.succeeded()
        other.succeeded()
    outage = [
        "The clerk cannot file letters for now: gone",
        "The clerk cannot read letters for now: the same error",
        "The clerk can file letters again, after 1 try",
        "The clerk can read letters again, after 1 try",
    ]
    assert [record.getMessage() for record in caplog.records] == 2 * outage
