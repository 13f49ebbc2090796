from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from django_loco.core.job import FOREVER, READY, utcnow
from django_loco.core.job.waits import pending_wait, pending_waits, waits_of
from django_loco.exceptions import Interrupted, InvalidStep, SignalTimeout
from django_loco.worker.claimed_job import ClaimedJob, Suspended
from django_loco.worker.execution import steps
from django_loco.worker.execution.steps import waits
from django_loco.worker.execution.steps.suspension import suspend
from django_loco.worker.step_call import StepCall
from tests.unit.worker.support import held


class Store:
    """The signals of a job, as a queue has them."""

    def __init__(self, signals=None):
        self.signals, self.token = signals, None

    def signal(self, job, text):
        if job.signals != self.signals:
            return False
        self.signals = text
        return True

    def get(self, job_id):
        return replace(held("nothing"), id=job_id, signals=self.signals, token=self.token)


def claimed_job(store=None, update=lambda *_: True, **fields):
    claimed = ClaimedJob(replace(held("nothing"), **fields), update=update, queue=store)
    if store:
        store.token = claimed.job.token
    return claimed


def suspended(claimed, call):
    with pytest.raises(Suspended) as raised:
        call()
    wait = raised.value.wait
    with pytest.raises(Suspended) as raised:
        suspend(claimed, claimed.steps.setdefault(wait.name, StepCall()), wait)
    return waits.outcome_of(claimed, raised.value)


def test_a_sleep_ends_the_run_until_its_time():
    claimed = claimed_job()
    outcome = suspended(claimed, lambda: waits.sleep(claimed, "nap", timedelta(hours=1)))
    assert (outcome.status, outcome.spent, outcome.snoozed, outcome.waits) == (READY, False, True, False)
    assert pending_wait(outcome.applied()).name == "nap"
    assert 3590 < (outcome.run_after - utcnow()).total_seconds() <= 3600


def test_the_length_of_a_sleep_that_has_begun_does_not_change():
    claimed = claimed_job()
    first = suspended(claimed, lambda: waits.sleep(claimed, "nap", timedelta(hours=1)))
    assert suspended(claimed, lambda: waits.sleep(claimed, "nap", timedelta(days=9))).run_after == first.run_after


def test_a_sleep_is_over_if_the_queue_has_handed_the_job_over_at_its_end():
    claimed = claimed_job()
    outcome = suspended(claimed, lambda: waits.sleep(claimed, "nap", timedelta(hours=1)))
    again = claimed_job(waits=claimed.job.waits, run_after=outcome.run_after)
    waits.sleep(again, "nap", timedelta(hours=1))
    assert again.suspended is None


def test_of_several_the_first_to_end_counts():
    claimed = claimed_job(Store())
    suspended(claimed, lambda: waits.signal_of(claimed, "a", None, waits.RAISE))
    suspended(claimed, lambda: waits.sleep(claimed, "soon", timedelta(minutes=1)))
    outcome = suspended(claimed, lambda: waits.sleep(claimed, "late", timedelta(hours=1)))
    assert outcome.waits
    assert [wait.name for wait in pending_waits(outcome.applied())] == ["soon", "late", "a"]
    assert pending_waits(replace(outcome.applied(), steps='{"late":null}'))[1].name == "a"
    assert pending_waits(replace(outcome.applied(), run_after=utcnow())) == []


def in_threads(*calls):
    """Make all calls at the same time; return what they raise."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.exception(10) for future in [pool.submit(call) for call in calls]]


def slowly(*_):
    """Store something, while other threads do the same."""
    time.sleep(0.001)
    return True


def test_threads_that_begin_to_sleep_at_the_same_time_forget_none():
    claimed = claimed_job(update=slowly)
    names = [f"nap-{number}" for number in range(8)]
    in_threads(*(partial(waits.sleep, claimed, name, timedelta(hours=1)) for name in names))
    assert sorted(waits_of(claimed.job)) == names


def test_threads_lose_no_results_of_each_other():
    claimed = claimed_job(update=slowly)
    in_threads(*(partial(steps.run_step, claimed, str(number), time.monotonic) for number in range(8)))
    assert len(steps.results_of(claimed)) == 8


def test_threads_do_not_undo_what_others_know_of_signals():
    store = Store()
    claimed = claimed_job(store)
    names = [str(number) for number in range(8)]
    ends = json.dumps({name: ["signal", "2026-01-01T00:00:00+00:00"] for name in names})
    claimed.job, signal = replace(claimed.job, waits=ends), store.signal
    store.signal = lambda job, text: slowly() and signal(job, text)
    in_threads(*(partial(waits.signal_of, claimed, name, None, "nobody") for name in names))
    assert sorted(waits.signals_of(claimed.job)) == names
    assert store.signals == claimed.job.signals


def test_of_threads_that_use_one_name_one_has_it(monkeypatch):
    together = threading.Barrier(8)

    def begin() -> StepCall:
        together.wait(10)
        return StepCall()

    monkeypatch.setattr(steps, "StepCall", begin)
    claimed = claimed_job()
    errors = in_threads(*[lambda: steps.run_step(claimed, "charge", time.monotonic)] * 8)
    assert errors.count(None) == 1


def test_a_signal_that_came_while_the_end_of_another_wait_was_stored_is_not_lost():
    store = Store()
    claimed = claimed_job(store)
    suspended(claimed, lambda: waits.signal_of(claimed, "a", None, waits.RAISE))
    store.signals = '{"a":{"value":7}}'
    assert waits.signal_of(claimed, "b", timedelta(0), "nobody") == "nobody"
    outcome = suspended(claimed, lambda: waits.sleep(claimed, "nap", timedelta(hours=1)))
    assert (outcome.waits, outcome.snoozed) == (False, True)
    assert outcome.applied().due_at <= utcnow()


def test_a_wait_of_another_kind_begins_anew():
    claimed = claimed_job(Store())
    suspended(claimed, lambda: waits.sleep(claimed, "a", timedelta(hours=1)))
    outcome = suspended(claimed, lambda: waits.signal_of(claimed, "a", None, waits.RAISE))
    assert (outcome.run_after, outcome.waits) == (FOREVER, True)


def test_another_worker_has_the_job():
    claimed = claimed_job(update=lambda *_: False)
    with pytest.raises(Interrupted, match="another worker has the job"):
        waits.sleep(claimed, "nap", timedelta(hours=1))
    assert claimed.refused


def test_a_signal_is_returned():
    claimed = claimed_job(Store(), signals='{"a":{"value":[7]}}')
    assert waits.signal_of(claimed, "a", None, waits.RAISE) == [7]


def test_when_the_time_is_up_no_signal_is_taken_any_more():
    store = Store()
    claimed = claimed_job(store)
    assert waits.signal_of(claimed, "a", timedelta(0), "nobody") == "nobody"
    assert store.signals == '{"a":{"timed_out":true}}'
    with pytest.raises(SignalTimeout, match="the signal 'a' has not come by") as raised:
        waits.signal_of(claimed, "a", timedelta(hours=1), waits.RAISE)
    assert raised.value.name == "a"


def test_a_signal_that_came_in_time_wins():
    claimed = claimed_job(Store('{"a":{"value":7}}'))
    assert waits.signal_of(claimed, "a", timedelta(0), "nobody") == 7


@pytest.mark.parametrize("token", [None, "another"])
def test_the_end_of_the_time_is_not_decided_by_a_worker_that_has_lost_the_job(token):
    store = Store('{"b":{"value":1}}')
    claimed = claimed_job(store)
    store.token = token
    with pytest.raises(Interrupted):
        waits.signal_of(claimed, "a", timedelta(0), "nobody")
    assert store.signals == '{"b":{"value":1}}'


def test_a_wait_is_forgotten():
    store = Store()
    claimed = claimed_job(store)
    waits.signal_of(claimed, "a", timedelta(0), "nobody")
    waits.forget(claimed, "a")
    assert (store.signals, waits_of(claimed.job)) == (None, {})


def test_what_cannot_be_forgotten_is_logged(caplog):
    claimed = claimed_job(Store(), update=lambda *_: False)
    claimed.job = replace(claimed.job, waits='{"a":["signal",null]}')
    waits.forget(claimed, "a")
    assert "the end of the wait for 'a' stays stored" in caplog.text


def test_an_error_beside_the_end_of_the_run_counts():
    claimed = claimed_job()
    suspended(claimed, lambda: waits.sleep(claimed, "nap", timedelta(hours=1)))
    end = claimed.suspended
    assert waits.outcome_of(claimed, BaseExceptionGroup("tasks", [end])).snoozed
    assert waits.outcome_of(claimed, BaseExceptionGroup("tasks", [end, ValueError()])) is None
    assert waits.outcome_of(claimed, ValueError()) is None
    with pytest.raises(InvalidStep, match="sleeps at 'nap', but it has caught"):
        waits.require_running(claimed)


@pytest.mark.parametrize("parts", [{}, {"hours": True}, {"hours": float("nan")}, {"days": 1e300}, {"hours": -1}])
def test_lengths_that_are_none(parts):
    with pytest.raises(InvalidStep, match="label: "):
        waits.length_of("label", parts, None)


@pytest.mark.parametrize("timeout", ["soon", True, -1, float("inf"), timedelta(days=-1), timedelta.max])
def test_timeouts_that_are_none(timeout):
    with pytest.raises(InvalidStep, match="label: "):
        waits.timeout_of("label", timeout)


def test_lengths():
    assert waits.length_of("", {"days": 1, "hours": 0.5, "minutes": None}, None) == timedelta(days=1, minutes=30)
    assert waits.length_of("", {"days": None}, timedelta(7)) == timedelta(7)
    assert waits.timeout_of("", 1.5) == timedelta(seconds=1.5)
    assert waits.timeout_of("", None) is None
