"""A store that is away for a moment while a step is stored."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from django_loco.exceptions import Interrupted, QueueUnavailable
from django_loco.worker.claimed_job import ClaimedJob, Suspended
from django_loco.worker.execution import steps
from django_loco.worker.execution.steps import storing, waits
from tests.unit.worker.support import held


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(storing, "FIRST_PAUSE_SECONDS", 0.0001)


class Away:
    """A store whose first calls fail, before or after they have been carried out."""

    def __init__(self, failures=3, *, is_lost=False):
        self.failures, self.is_lost, self.calls, self.job = failures, is_lost, 0, held("nothing")

    def update(self, job, field, text):
        return self._carried_out(replace(self.job, **{field: text}))

    def signal(self, job, text):
        if job.signals != self.job.signals:
            self._carried_out(self.job)
            return False
        return self._carried_out(replace(self.job, signals=text))

    def get(self, job_id):
        self._carried_out(self.job)
        return self.job

    def _carried_out(self, job):
        self.calls += 1
        if self.calls > self.failures or self.is_lost:
            self.job = job
        if self.calls <= self.failures:
            raise QueueUnavailable("it restarts")
        return True


def claimed_job(store, seconds=60.0):
    claimed = ClaimedJob(store.job, update=store.update, queue=store)
    claimed.valid_until = time.monotonic() + seconds
    return claimed


def charged(claimed):
    called = []
    assert steps.run_step(claimed, "charge", lambda: called.append(1) or len(called)) == 1
    return called


async def acharged(claimed):
    called = []
    assert await steps.arun_step(claimed, "charge", lambda: called.append(1) or len(called)) == 1
    return called


@pytest.mark.parametrize("is_lost", [False, True], ids=["not done", "reply lost"])
def test_the_result_of_a_step_is_stored_when_the_store_is_back(is_lost, caplog):
    store = Away(is_lost=is_lost)
    assert charged(claimed_job(store)) == [1]
    assert (store.job.steps, store.calls) == ('{"charge":1}', 4)
    assert caplog.text.count("a step cannot be stored now, and is tried again: it restarts") == 1


def test_that_of_an_async_job_too():
    store = Away()
    assert asyncio.run(acharged(claimed_job(store))) == [1]
    assert store.job.steps == '{"charge":1}'


@pytest.mark.parametrize("is_lost", [False, True], ids=["not done", "reply lost"])
def test_the_end_of_a_sleep_is_stored_when_the_store_is_back(is_lost):
    store = Away(is_lost=is_lost)
    claimed = claimed_job(store)
    with pytest.raises(Suspended):
        steps.sleep(claimed, "nap", {"hours": 1}, None)
    assert store.job.waits == claimed.job.waits is not None


@pytest.mark.parametrize("is_lost", [False, True], ids=["not done", "reply lost"])
@pytest.mark.parametrize("failures", [1, 2, 3])
def test_the_end_of_the_time_of_a_wait_is_stored_when_the_store_is_back(is_lost, failures):
    store = Away(is_lost=is_lost)
    claimed = claimed_job(store)
    claimed.job = store.job = replace(store.job, waits='{"approved":["signal","2026-01-01T00:00:00+00:00"]}')
    store.failures = failures
    assert steps.wait_for(claimed, "approved", timedelta(0), "nobody") == "nobody"
    assert (store.job.signals, store.job.steps) == ('{"approved":{"timed_out":true}}', '{"approved":"nobody"}')
    assert waits.signals_of(claimed.job) == {"approved": {"timed_out": True}}


@pytest.mark.parametrize("is_expired", [False, True])
def test_it_goes_on_after_the_lease_because_only_the_store_knows_who_has_the_job(is_expired):
    store = Away(failures=20)
    claimed = claimed_job(store, seconds=-60.0)
    update = claimed.update

    def expire(*arguments):  # as the heartbeat does, when the step is running
        claimed.expired = is_expired
        return update(*arguments)

    claimed.update = expire
    assert charged(claimed) == [1]
    assert store.job.steps == '{"charge":1}'


@pytest.mark.parametrize("run", ["sync", "async"])
@pytest.mark.parametrize("end", ["released", "refused", "decided"])
def test_a_run_that_ends_during_the_outage_spends_no_attempt(end, run):
    store = Away(failures=10**6)
    claimed = claimed_job(store)
    update = claimed.update

    def lost(*arguments):
        if store.calls == 4:
            claimed.decide() if end == "decided" else setattr(claimed, end, True)
        return update(*arguments)

    claimed.update = lost
    with pytest.raises(Interrupted, match="a step could not be stored") as caught:
        charged(claimed) if run == "sync" else asyncio.run(acharged(claimed))
    assert isinstance(caught.value.__cause__, QueueUnavailable)
    assert store.calls < 10


def test_inside_enqueue_nothing_is_tried_again():
    store = Away(failures=10**6)
    with pytest.raises(QueueUnavailable):
        charged(claimed_job(store, seconds=float("inf")))
    assert store.calls == 1
