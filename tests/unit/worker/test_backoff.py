"""Troubles with the queue: logged once, retried ever more slowly."""

from __future__ import annotations

import logging

import pytest

from django_loco.core.backoff import log_as_one
from django_loco.exceptions import QueueUnavailable
from django_loco.worker.backoff import QueueBackoff

from .support import TroubledQueue


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


def test_the_delay_doubles_up_to_five_seconds(queue):
    backoff = QueueBackoff("fetch", queue, jitter=lambda: 0.5)
    delays = [backoff.failed(QueueUnavailable("gone")) for _ in range(9)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


@pytest.mark.parametrize(("jitter", "delay"), [(0.0, 0.05), (1.0, 0.15)])
def test_the_delay_has_jitter(queue, jitter, delay):
    assert QueueBackoff("fetch", queue, jitter=lambda: jitter).failed(QueueUnavailable("gone")) == pytest.approx(delay)


def test_it_is_logged_once_and_so_is_its_end(queue, caplog):
    backoff = QueueBackoff("fetch", queue)
    with caplog.at_level(logging.INFO, "django_loco.worker"):
        for _ in range(5):
            backoff.failed(QueueUnavailable("gone"))
        assert backoff.reason == "QueueUnavailable: gone"
        backoff.succeeded()
        backoff.succeeded()
    assert [record.getMessage() for record in caplog.records] == [
        "The worker cannot fetch for now: gone",
        "The worker can fetch again, after 5 tries",
    ]
    assert caplog.records[0].exc_info is None
    assert backoff.reason == ""


def test_the_next_outage_is_logged_anew_and_begins_with_a_short_delay(queue, caplog):
    backoff = QueueBackoff("fetch", queue, jitter=lambda: 0.5)
    for _ in range(2):
        assert backoff.failed(QueueUnavailable("gone")) == 0.1
        backoff.succeeded()
    assert [record.levelname for record in caplog.records].count("ERROR") == 2


def test_one_of_several_threads_says_so_for_all(queue, caplog):
    backoffs = [QueueBackoff(duty, queue) for duty in ("fetch", "renew", "rescue")]
    log_as_one(backoffs)
    levels = []
    with caplog.at_level(logging.INFO, "django_loco.worker"):
        for _ in range(2):
            caplog.clear()
            for backoff in backoffs:
                backoff.failed(QueueUnavailable("gone"))
            levels.append([record.levelname for record in caplog.records])
            backoffs[0].succeeded()
            backoffs[0].failed(QueueUnavailable("gone"))  # it is away for the others still
            levels.append([record.levelname for record in caplog.records][4:])
            for backoff in backoffs:
                backoff.succeeded()
    assert levels == [["ERROR", "INFO", "INFO"], ["INFO"]] * 2


def test_an_unexpected_error_is_none_of_the_outage(queue, caplog):
    backoffs = [QueueBackoff(duty, queue) for duty in ("fetch", "renew", "rescue")]
    log_as_one(backoffs)
    backoffs[0].failed(ZeroDivisionError("oops"))
    backoffs[1].failed(QueueUnavailable("gone"))
    backoffs[2].failed(ZeroDivisionError("oops"))
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 3


def test_an_unexpected_error_comes_with_its_traceback(queue, caplog):
    QueueBackoff("fetch", queue).failed(ZeroDivisionError("oops"))
    assert caplog.records[0].exc_info


def test_the_next_try_begins_with_a_new_connection(queue):
    QueueBackoff("fetch", queue).failed(QueueUnavailable("gone"))
    assert queue.closed.is_set()


def test_an_error_on_closing_does_no_harm(queue, monkeypatch):
    def close():
        raise OSError("already gone")

    monkeypatch.setattr(queue, "close", close)
    assert QueueBackoff("fetch", queue).failed(QueueUnavailable("gone")) > 0
