"""The fetcher, turn by turn, without threads: the test takes its turns and plays the pools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, Outcome, utcnow
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.fetching import fetcher as fetcher_module
from django_loco.worker.fetching.drain_group import DrainGroup
from django_loco.worker.fetching.fetcher import LINGER_SECONDS, Fetcher
from django_loco.worker.fetching.hand_back import LAST_OUTCOMES_SECONDS
from django_loco.worker.outcomes.inbox import OutcomeInbox
from django_loco.worker.pools.request_priority import RequestPriority

from ..support import Clock, FakePool, TroubledQueue, job


class IdlePool(FakePool):
    """Begins with nothing by itself."""

    cancelled = closed = 0

    def replace_dead(self) -> None:
        """No thread of it dies."""

    def cancel(self) -> None:
        self.cancelled += 1

    def close(self) -> None:
        self.closed += 1


class Bell:
    """In place of the event that the fetcher waits for: notes for how long, and lets the test do something then."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.waits: list[float] = []
        self.rings = 0
        self.then: Callable[[], Any] = lambda: None

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.now += seconds
        self.then()

    def set(self) -> None:
        self.rings += 1

    def clear(self) -> None:
        self.rings = 0

    def is_set(self) -> bool:
        return True


class Fixture:
    """A fetcher with room for two sync and two async jobs, and all around it."""

    def __init__(self, **options: Any) -> None:
        self.queue = TroubledQueue()
        self.clock = Clock()
        self.threads, self.coroutines = IdlePool(2), IdlePool(2)
        self.held: dict[str, ClaimedJob] = {}
        self.finished = OutcomeInbox()
        self.wake = Bell(self.clock)
        self.finished.wake = cast("Any", self.wake)
        claim = Claim(worker_id="w1", lease=30)
        pools: Any = (self.threads, self.coroutines)
        self.fetcher = Fetcher(self.queue, claim, pools, self.held, self.finished, clock=self.clock, **options)

    def enqueue(self, *names: str, **fields: Any) -> list[str]:
        return [one.id for one in self.queue.enqueue([job(name, **fields) for name in names])]

    def turn(self) -> None:
        self.fetcher._guarded_turn()

    def begin(self, job_id: str) -> ClaimedJob:
        claimed = self.held[job_id]
        claimed.started = True
        for pool in (self.threads, self.coroutines):
            pool.inbox = [other for other in pool.inbox if other is not claimed]
        return claimed

    def end(self, job_id: str, **fields: Any) -> None:
        """Let a job return."""
        claimed = self.begin(job_id)
        assert claimed.decide()
        self.finished.add(claimed, Outcome(job=claimed.job, **{"status": SUCCESSFUL, "return_value": "1", **fields}))

    def status(self, job_id: str) -> str:
        stored = self.queue.get(job_id)
        assert stored is not None
        return stored.status

    def statuses(self, ids: Sequence[str]) -> list[str]:
        return [self.status(job_id) for job_id in ids]


@pytest.fixture
def at() -> Fixture:
    return Fixture()


def ids_of(pool: IdlePool) -> list[str]:
    return [claimed.job.id for claimed in pool.inbox]


def test_each_kind_of_job_goes_to_its_pool_as_far_as_there_is_room(at):
    ids = at.enqueue("nothing", "anothing", "nothing", "nothing", "anothing")
    at.turn()
    assert ids_of(at.threads) == [ids[0], ids[2]]
    assert ids_of(at.coroutines) == [ids[1], ids[4]]
    assert at.status(ids[3]) == READY
    assert set(at.held) == {*ids} - {ids[3]}


def test_with_full_pools_the_queue_is_not_asked(at):
    at.enqueue(*["nothing", "anothing"] * 3)
    at.turn()
    at.turn()
    assert at.queue.calls["fetch"] == 1


def test_one_that_has_ended_makes_room_for_the_next(at):
    ids = at.enqueue(*["nothing"] * 3)
    at.turn()
    at.end(ids[0])
    at.turn()
    assert at.statuses(ids) == [SUCCESSFUL, RUNNING, RUNNING]
    assert ids_of(at.threads) == ids[1:]
    assert set(at.held) == set(ids[1:])
    assert at.fetcher.jobs.counts == {SUCCESSFUL: 1}
    assert at.fetcher.jobs.handed_back == 0


def test_it_wants_to_be_woken_only_while_there_is_room(at):
    at.enqueue(*["nothing", "anothing"] * 2)
    at.turn()
    assert not at.fetcher.wants_jobs.is_set()
    at.end(next(iter(at.held)))
    at.turn()
    assert at.fetcher.wants_jobs.is_set()


def test_one_kind_that_is_full_does_not_keep_the_other_from_coming(at):
    at.enqueue("nothing", "nothing")
    at.turn()
    assert at.fetcher.wants_jobs.is_set()
    [one] = at.enqueue("anothing")
    at.turn()
    assert ids_of(at.coroutines) == [one]


@pytest.mark.parametrize(("is_async", "asked"), [(False, (2 + 5, 2)), (True, (2, 2 + 5))])
def test_more_are_asked_for_of_the_kind_of_which_most_are_put_off(at, monkeypatch, is_async, asked):
    claims: list[Claim] = []
    monkeypatch.setattr(
        at.fetcher.jobs._unknown_tasks, "more", lambda is_async, kind=is_async: 5 if is_async is kind else 0
    )
    monkeypatch.setattr(at.queue, "fetch", lambda claim: claims.append(claim) or [])
    at.turn()
    assert [(claim.threads, claim.coroutines) for claim in claims] == [asked]


def test_what_is_known_to_be_missing_goes_back_and_not_to_a_pool(at, monkeypatch):
    ids = at.enqueue("nothing", "nothing")
    later = utcnow() + timedelta(hours=1)

    def take(claimed_jobs: Sequence[ClaimedJob]) -> list[tuple[ClaimedJob, Outcome]]:
        return [
            (claimed, Outcome.released(claimed.job, run_after=later))
            for claimed in claimed_jobs
            if claimed.job.id == ids[0]
        ]

    monkeypatch.setattr(at.fetcher.jobs._unknown_tasks, "take", take)
    at.turn()
    assert ids_of(at.threads) == ids[1:]
    at.turn()
    assert at.statuses(ids) == [READY, RUNNING]
    assert at.queue.get(ids[0]).run_after == later


def test_after_some_jobs_it_waits_a_moment_and_after_none_until_the_next_poll(at):
    at.enqueue("nothing")
    at.turn()
    assert at.wake.waits == [LINGER_SECONDS]
    at.turn()
    assert len(at.wake.waits) == 2
    assert 0.8 <= at.wake.waits[1] <= 1.2


def test_after_as_many_jobs_as_there_was_room_for_it_takes_the_next_turn_at_once(at):
    at.enqueue(*["nothing", "anothing"] * 2)
    at.turn()
    assert at.wake.waits == []


def test_a_ring_is_heard_once(at):
    at.wake.set()
    at.turn()
    assert at.wake.rings == 0, "or it would never wait again"


def test_a_queue_that_gives_more_than_was_asked_for_gets_it_back(at, monkeypatch):
    ids = at.enqueue(*["nothing"] * 4)
    fetch = at.queue.fetch
    monkeypatch.setattr(at.queue, "fetch", lambda claim: fetch(replace(claim, threads=4)))
    at.turn()
    assert ids_of(at.threads) == ids[:2]
    monkeypatch.undo()
    at.turn()
    assert at.statuses(ids) == [RUNNING, RUNNING, READY, READY]
    assert [at.queue.get(job_id).worker_ids for job_id in ids[2:]] == [(), ()]


def test_the_outcome_of_a_run_that_was_lost_is_not_offered(at, caplog):
    [one] = at.enqueue("nothing")
    at.turn()
    claimed = at.begin(one)
    at.held.clear()  # the heartbeat has found that it is somebody else's
    at.finished.add(claimed, Outcome(job=claimed.job, status=SUCCESSFUL))
    at.turn()
    assert at.queue.calls["finish"] == 0
    assert at.fetcher.jobs.threads.held == 0
    assert f"Job {one}" in caplog.text


def test_a_job_that_it_gets_once_more_is_another_run(at):
    [one] = at.enqueue("nothing")
    at.turn()
    first = at.begin(one)
    at.queue._jobs.held[one] = at.queue._jobs.held[one]._replace(until=0.0)
    at.queue.rescue()
    at.turn()
    assert first.expired
    assert first.stopping
    second = at.held[one]
    assert second is not first
    assert not second.expired


def test_a_fetch_gives_way_to_requests(monkeypatch):
    request_priority = RequestPriority()
    at = Fixture(request_priority=request_priority)
    fetches: list[int] = []
    monkeypatch.setattr(request_priority, "wait_for_requests", lambda: fetches.append(at.queue.calls["fetch"]))
    at.turn()
    assert fetches == [0]


# Troubles


def test_while_the_queue_is_away_it_tries_again_after_growing_pauses(at, monkeypatch):
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        at.clock.now += seconds

    monkeypatch.setattr(at.fetcher._end_pause, "wait", wait)
    monkeypatch.setattr(at.fetcher.backoff, "_jitter", lambda: 0.5)
    at.queue.troubles["fetch"] = QueueUnavailable("gone")
    began = at.clock.now
    for _ in range(3):
        at.clock.now += 1
        at.turn()
    assert pauses == [0.1, 0.2, 0.4]
    assert at.fetcher.last_turn == began
    assert at.fetcher.last_try == at.clock.now - pauses[-1]
    assert at.wake.waits == []
    assert "gone" in at.fetcher.backoff.reason
    at.queue.troubles.clear()
    at.turn()
    assert at.fetcher.backoff.reason == ""
    assert at.fetcher.last_turn == at.fetcher.last_try > began


def test_the_end_is_not_slept_through_in_an_outage(at, monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr(at.fetcher._end_pause, "wait", pauses.append)
    monkeypatch.setattr(at.fetcher.backoff, "failed", lambda error: 60.0)
    at.enqueue("nothing")
    at.turn()
    at.queue.troubles["finish"] = at.queue.troubles["renew"] = QueueUnavailable("gone")
    at.end(next(iter(at.held)))
    at.fetcher.stop(at.clock.now + 20)
    at.turn()
    assert pauses == [pytest.approx(19)], "a second before the deadline there is something to do"
    assert not at.fetcher._end_pause.is_set(), "or it would never wait again"


# The end


@pytest.mark.parametrize(
    "end", [Fetcher.quiet, Fetcher.drain, Fetcher.retire, lambda fetcher: fetcher.stop(2_000.0)], ids=range(4)
)
def test_it_is_woken_to_end(at, end):
    end(at.fetcher)
    assert at.wake.rings
    assert at.fetcher._end_pause.is_set() == at.fetcher.stopping.is_set()


def test_one_that_drains_from_the_start_looks_at_least_once():
    at = Fixture(drain=True)
    [one] = at.enqueue("nothing")
    at.wake.then = lambda: at.end(one) if not at.held[one].is_decided else None
    at.fetcher.run()
    assert at.status(one) == SUCCESSFUL


def test_quiet_hands_back_what_has_not_begun_and_fetches_no_more(at):
    ids = at.enqueue(*["nothing"] * 3)
    at.turn()
    claimed = at.begin(ids[0])
    at.fetcher.quiet()
    assert at.threads.is_quiet
    assert at.coroutines.is_quiet, "a job could begin before the next turn"
    at.turn()
    assert at.statuses(ids) == [RUNNING, READY, READY]
    assert at.queue.calls["fetch"] == 1
    assert not claimed.released
    assert at.fetcher.jobs.handed_back == 0
    assert at.fetcher.jobs.counts == {}


def test_the_moments_of_a_stop(at):
    ids = at.enqueue("nothing", "anothing")
    at.turn()
    claimed_jobs = [at.begin(one) for one in ids]
    began = at.clock.now
    at.fetcher.stop(began + 20)
    assert all(claimed.stopping for claimed in claimed_jobs)
    at.clock.now = began + 18.9
    at.turn()
    assert (at.threads.cancelled, at.coroutines.cancelled) == (0, 0)
    at.clock.now = began + 19
    at.turn()
    assert (at.threads.cancelled, at.coroutines.cancelled) == (1, 1)
    assert at.statuses(ids) == [RUNNING, RUNNING]
    assert not at.fetcher._is_over()
    at.clock.now = began + 19.5
    at.turn()
    assert at.statuses(ids) == [READY, READY]
    assert all(claimed.released and claimed.is_decided for claimed in claimed_jobs)
    assert at.fetcher.jobs.handed_back == 2
    assert at.fetcher._is_over()


def test_it_waits_no_longer_than_until_the_next_of_these_moments(at):
    [one] = at.enqueue("nothing")
    at.turn()
    at.begin(one)
    began = at.clock.now
    at.fetcher.stop(began + 0.5)
    at.turn()
    assert at.wake.waits[-1] == pytest.approx(0.45)
    at.turn()
    assert at.wake.waits[-1] == pytest.approx(0.025)


def test_after_a_stop_it_ends_when_nothing_is_held(at):
    [one] = at.enqueue("nothing")
    at.turn()
    at.fetcher.stop(at.clock.now + 20)
    at.begin(one)
    at.turn()
    assert not at.fetcher._is_over()
    at.end(one)
    waits = len(at.wake.waits)
    at.turn()
    assert at.fetcher._is_over()
    assert at.status(one) == SUCCESSFUL
    assert len(at.wake.waits) == waits, "there is nothing to wait for"


def test_an_outcome_that_is_on_its_way_at_the_deadline_is_still_stored(at):
    [one] = at.enqueue("nothing")
    at.turn()
    claimed = at.begin(one)
    claimed.decide()
    at.fetcher.stop(at.clock.now)
    at.wake.waits.clear()
    at.wake.then = lambda: at.finished.add(claimed, Outcome(job=claimed.job, status=SUCCESSFUL))
    at.fetcher.run()
    assert at.status(one) == SUCCESSFUL
    assert len(at.wake.waits) == 1
    assert at.wake.waits[0] <= LAST_OUTCOMES_SECONDS


def test_at_the_deadline_the_outcome_of_a_job_whose_end_is_still_being_announced_is_stored_once(at, caplog):
    ids = at.enqueue("nothing", "anothing")
    at.turn()
    claimed_jobs = [at.begin(one) for one in ids]
    ends = [Outcome(job=claimed.job, status=SUCCESSFUL) for claimed in claimed_jobs]
    for claimed, outcome in zip(claimed_jobs, ends, strict=True):
        claimed.decide(outcome)
    at.fetcher.stop(at.clock.now + 20)
    at.clock.now += 19
    at.turn()
    assert at.statuses(ids) == [RUNNING] * 2
    at.clock.now += 0.5
    at.turn()
    assert at.statuses(ids) == [SUCCESSFUL] * 2
    at.finished._items.append((claimed_jobs[0], ends[0]))  # its thread was about to report it
    at.finished.add(claimed_jobs[1], ends[1])
    at.fetcher.run()
    assert at.statuses(ids) == [SUCCESSFUL] * 2
    assert at.fetcher.jobs.counts == {SUCCESSFUL: 2}
    assert at.fetcher.jobs.handed_back == 0
    assert caplog.text == ""


def test_a_deadline_that_comes_too_soon_hands_back_all_the_same(at):
    ids = at.enqueue("nothing", "anothing")
    at.turn()
    claimed = at.begin(ids[0])
    at.fetcher.stop(at.clock.now)
    at.wake.waits.clear()
    at.fetcher.run()
    assert at.statuses(ids) == [READY, READY]
    assert at.wake.waits == [], "nothing is on its way"
    assert claimed.released
    assert at.fetcher.jobs.handed_back == 1


def test_but_not_waited_for_for_long(at):
    [one] = at.enqueue("nothing")
    at.turn()
    at.begin(one).decide()
    began = at.clock.now
    at.fetcher.stop(began)
    at.fetcher.run()
    assert at.clock.now == pytest.approx(began + LAST_OUTCOMES_SECONDS)
    assert at.status(one) == RUNNING, "its lease gives it back"


def test_at_the_end_the_pools_and_the_connection_are_closed(at):
    at.fetcher.stop(at.clock.now)
    at.fetcher.run()
    assert (at.threads.closed, at.coroutines.closed) == (1, 1)
    assert at.queue.closed.is_set()
    assert at.wake.waits == []


def test_a_fetcher_that_drains_ends_when_the_queue_had_nothing(at):
    at.enqueue("nothing")
    at.fetcher.drain()
    at.turn()
    [one] = at.held
    at.end(one)
    assert at.fetcher._turn() == 0.0
    assert not at.fetcher._is_over(), "a job may follow what was stored just now"
    at.turn()
    assert at.fetcher._is_over()
    assert at.status(one) == SUCCESSFUL


def test_while_jobs_run_it_does_not_ask_whether_it_may_end():
    """To ask may take a query, and a busy worker that drains fetches some hundred times a second."""
    asked: list[int] = []
    at = Fixture(drain=True, others_are_done=lambda: bool(asked.append(len(at.held)) or True))
    ids = at.enqueue("nothing", "nothing", "nothing", "nothing")
    at.turn()
    asked.clear()
    for job_id in ids:
        at.turn()
        assert asked == []
        at.end(job_id)
    at.turn()
    assert asked == []
    at.turn()
    assert at.fetcher._is_over()
    assert at.statuses(ids) == [SUCCESSFUL] * 4
    assert asked == [0, 0]


def test_one_that_drains_waits_for_the_other_aliases_of_its_process():
    group = DrainGroup(["default", "other"])
    at = Fixture(drain=True, drain_group=group)
    at.turn()
    group.note("other", None)
    at.turn()
    assert not at.fetcher._is_over(), "a job of the other alias runs"
    at.wake.then = lambda: group.note("other", at.clock.now)
    at.turn()
    assert not at.fetcher._is_over(), "it may have enqueued one after this fetch"
    at.turn()
    assert at.fetcher._is_over()


def test_a_job_that_is_found_keeps_the_other_aliases_until_the_fetch_after_it():
    group = DrainGroup(["default", "other"])
    at = Fixture(drain=True, drain_group=group)
    [one] = at.enqueue("nothing")
    at.turn()
    at.end(one)
    assert not group.note("other", at.clock.now)
    at.turn()
    assert not group.note("other", at.clock.now), "its end is stored, and something may follow that"
    at.turn()
    assert group.note("other", at.clock.now)


def test_only_one_that_ends_by_itself_leaves_the_others_alone():
    """A worker that was stopped because one of its threads has died is followed by another one."""
    for stop, is_alone in ((False, True), (True, False)):
        group = DrainGroup(["default", "other"])
        at = Fixture(max_jobs=0, drain_group=group)
        if stop:
            at.fetcher.stop(at.clock.now)
        at.fetcher.run()
        assert group.note("other", at.clock.now) is is_alone


def test_what_is_found_before_it_drains_does_not_count(at):
    """The queue was empty then; something may have been enqueued since."""
    at.turn()
    at.fetcher.drain()
    assert not at.fetcher._is_over()
    at.turn()
    assert at.fetcher._is_over()


def test_one_that_is_retired_goes_on_with_what_runs_and_takes_no_more(at):
    ids = at.enqueue(*["nothing"] * 3)
    at.turn()
    at.begin(ids[0])
    assert not at.fetcher.has_reached_limit
    at.fetcher.retire()
    assert at.fetcher.has_reached_limit
    at.turn()
    assert not at.fetcher._is_over()
    at.end(ids[0])
    at.turn()
    assert at.fetcher._is_over()
    assert at.statuses(ids) == [SUCCESSFUL, READY, READY]


def test_no_more_are_taken_than_are_left_of_max_jobs():
    at = Fixture(max_jobs=3)
    ids = at.enqueue("nothing", "nothing", "anothing", "anothing", "nothing")
    at.turn()
    assert len(at.held) == 4, "of each kind as many as may be left"
    assert len(at.threads.inbox) + len(at.coroutines.inbox) == 3, "what goes back does not begin"
    at.turn()
    assert len(at.held) == 3
    for one in list(at.held):
        at.end(one)
    assert not at.fetcher._is_over()
    at.turn()
    assert at.fetcher.has_reached_limit
    assert at.fetcher._is_over()
    assert sorted(at.statuses(ids)) == [READY] * 2 + [SUCCESSFUL] * 3


def test_attempts_that_fail_count_and_what_is_handed_back_does_not():
    at = Fixture(max_jobs=2)
    ids = at.enqueue("nothing", "nothing")
    at.turn()
    at.end(ids[0], status=FAILED, return_value=None)
    claimed = at.begin(ids[1])
    claimed.decide()
    at.finished.add(claimed, Outcome.released(claimed.job))
    at.turn()
    assert at.fetcher.jobs.counts == {FAILED: 1}
    assert not at.fetcher.has_reached_limit


def test_a_death_of_the_loop_closes_the_pools(at, monkeypatch, caplog):
    monkeypatch.setattr(fetcher_module.Fetcher, "_guarded_turn", lambda self: 1 / 0)
    at.fetcher.run()
    assert (at.threads.closed, at.coroutines.closed) == (1, 1)
    assert "The worker has died" in caplog.text


def test_an_outage_at_the_very_end_is_told_with_what_it_costs(at, caplog):
    [one] = at.enqueue("nothing")
    at.turn()
    at.end(one)
    at.queue.troubles["finish"] = at.queue.troubles["renew"] = QueueUnavailable("gone")
    at.fetcher.stop(at.clock.now)
    at.fetcher.run()
    assert len(at.fetcher.jobs.acknowledger) == 1
    assert "1 outcome could not be stored" in caplog.text


@pytest.fixture
def limited(settings):
    settings.LOCO = {"LIMITS": {"one": {"concurrency": 1}, "soon": {"rate": "1/m"}, "late": {"rate": "1/h"}}}
    return Fixture(drain=True)


def end_of_one_that_drains(at: Fixture) -> None:
    """Take turns until all that it holds has ended."""
    at.turn()
    for one in [*at.held]:
        at.end(one)
    at.turn()
    at.turn()


def test_one_that_drains_waits_for_a_limit_that_opens_soon(limited):
    ids = limited.enqueue("nothing", "nothing", limit_key="soon:7")
    end_of_one_that_drains(limited)
    assert limited.statuses(ids) == [SUCCESSFUL, READY]
    assert not limited.fetcher._is_over()


def test_one_that_drains_waits_for_the_jobs_of_other_workers(limited):
    ids = limited.enqueue("nothing", "nothing", limit_key="one")
    [other] = limited.queue.fetch(Claim(worker_id="w2", lease=60, threads=5))
    end_of_one_that_drains(limited)
    assert not limited.fetcher._is_over()
    limited.queue.finish([Outcome(job=other, status=SUCCESSFUL)])
    end_of_one_that_drains(limited)
    assert limited.fetcher._is_over()
    assert limited.statuses(ids) == [SUCCESSFUL] * 2


def test_one_that_drains_leaves_what_waits_for_long_and_says_so(limited, caplog):
    for key in range(7):
        limited.enqueue("nothing", "nothing", limit_key=f"late:{key}")
    limited.wake.then = lambda: [limited.end(one) for one in [*limited.held] if not limited.held[one].is_decided]
    limited.fetcher.run()
    [text] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "except for jobs that wait for limits which open in more than 60 s: 1 of late:" in text
    assert text.endswith("2 other keys")
    assert " of late:0 for 3600 s more" in text


def test_one_that_drains_does_not_wait_for_jobs_for_which_it_has_no_room(limited):
    limited.enqueue("nothing", "nothing", limit_key="soon", is_async=True)
    limited.coroutines.capacity = limited.coroutines.size = 0
    limited.turn()
    limited.turn()
    assert limited.fetcher._is_over()
