"""Outcomes on their way to a queue that may be away, or may not be able to take one of them."""

from __future__ import annotations

import pytest

from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, Outcome
from django_loco.exceptions import JobsLocked, QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.memory import MemoryQueue
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.execution.errors import record_of
from django_loco.worker.outcomes.acknowledger import (
    BATCH_SIZE,
    MAX_ASIDE,
    MAX_TRIES,
    MIN_BATCH_SIZE,
    Acknowledger,
)

from ..support import TroubledQueue, claimed_of, job

CLAIM = Claim(worker_id="w1", lease=30, threads=1000)
GONE = QueueUnavailable("the connection was closed")


class Picky(TroubledQueue):
    """Closes the connection, as Redis does, on more than ``most`` bytes; refuses some jobs whatever their outcome."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 10**9
        self.locked: set[str] = set()
        self.locked_by_others: set[str] = set()
        self.seconds = 0.0
        self.now = 0.0
        self.sizes: list[int] = []
        self.refusal: Exception = GONE

    def clock(self) -> float:
        return self.now

    def finish(self, outcomes):
        self.sizes.append(len(outcomes))
        if sum(one.size for one in outcomes) > self.most or self.locked & {one.job.id for one in outcomes}:
            self.calls["refusals"] += 1
            self.now += self.seconds
            raise self.refusal
        refused = super().finish([one for one in outcomes if one.job.id not in self.locked_by_others])
        if locked := self.locked_by_others & {one.job.id for one in outcomes}:
            raise JobsLocked("locked", locked=locked, refused=refused)
        return refused

    def loses_the_next_answer(self, monkeypatch) -> None:
        def finish(outcomes):
            monkeypatch.undo()
            self.finish(outcomes)
            raise GONE

        monkeypatch.setattr(self, "finish", finish)

    def finish_for_dead_workers(self) -> None:
        MemoryQueue.finish(self, [Outcome.of_dead_worker(hold.job) for hold in list(self._jobs.held.values())])

    def goes_away(self) -> None:
        self.troubles = dict.fromkeys(("finish", "renew", "fetch"), QueueUnavailable("gone"))


@pytest.fixture
def queue() -> Picky:
    return Picky()


@pytest.fixture
def gone() -> list[ClaimedJob]:
    return []


@pytest.fixture
def acknowledger(queue, gone) -> Acknowledger:
    return Acknowledger(queue, lambda claimed, outcome: gone.append(claimed), queue.clock)


def fill(acknowledger: Acknowledger, queue: TroubledQueue, *sizes: int) -> list[ClaimedJob]:
    """Add outcomes whose return values have these sizes."""
    queue.enqueue([job("nothing") for _ in sizes])
    claimed_jobs = [ClaimedJob(one) for one in queue.fetch(CLAIM)]
    for claimed, size in zip(claimed_jobs, sizes, strict=True):
        acknowledger.add(claimed, Outcome(job=claimed.job, status=SUCCESSFUL, return_value="1" * size))
    return claimed_jobs


def settle(acknowledger: Acknowledger, queue: Picky, turns: int = 40) -> None:
    """Take turns of the fetcher, 10 seconds apart."""
    for _ in range(turns):
        acknowledger.flush()
        queue.now += 10


def statuses(queue: TroubledQueue, claimed_jobs: list[ClaimedJob]) -> list[str]:
    return [queue.get(claimed.job.id).status for claimed in claimed_jobs]


def test_without_outcomes_nothing_is_asked(acknowledger, queue):
    acknowledger.flush()
    assert queue.calls["finish"] == 0


def test_all_are_stored_in_one_call(acknowledger, queue, gone):
    claimed_jobs = fill(acknowledger, queue, 1, 1, 1)
    acknowledger.flush()
    assert queue.calls == {"fetch": 1, "finish": 1}
    assert gone == claimed_jobs
    assert len(acknowledger) == 0
    assert statuses(queue, claimed_jobs) == [SUCCESSFUL] * 3


def test_while_the_queue_is_away_they_are_kept(acknowledger, queue, gone):
    claimed_jobs = fill(acknowledger, queue, 1, 1, 1)
    queue.goes_away()
    for _ in range(3 * MAX_TRIES):
        with pytest.raises(QueueUnavailable):
            acknowledger.flush()
    assert (len(acknowledger), gone) == (3, [])
    queue.troubles.clear()
    acknowledger.flush()
    assert gone == claimed_jobs
    assert statuses(queue, claimed_jobs) == [SUCCESSFUL] * 3


def test_what_comes_too_late_is_logged_by_name(acknowledger, gone, caplog):
    claimed = claimed_of("nothing")  # the queue does not even know it
    acknowledger.add(claimed, Outcome(job=claimed.job, status=SUCCESSFUL))
    acknowledger.flush()
    assert gone == [claimed]
    assert claimed.job.id in caplog.text
    assert "tests.unit.worker.tasks.nothing" in caplog.text
    assert "stored when it was offered before" not in caplog.text
    assert claimed.refused


def test_one_of_a_hundred_that_is_too_large_fails_alone(acknowledger, queue, gone, caplog):
    queue.most = 2_000
    claimed_jobs = fill(acknowledger, queue, *[1] * 36, 5_000, *[1] * 63)
    acknowledger.flush()
    settle(acknowledger, queue, 8)
    assert statuses(queue, claimed_jobs).count(SUCCESSFUL) == 99
    assert queue.get(claimed_jobs[36].job.id).status == RUNNING
    settle(acknowledger, queue)
    bad = queue.get(claimed_jobs[36].job.id)
    assert (bad.status, bad.return_value) == (FAILED, None)
    [error] = bad.errors
    assert error.exception_class_path == "django_loco.exceptions.ResultRefused"
    for word in ("tests.unit.worker.tasks.nothing", "5,000 bytes", "the connection was closed", "MAX_RESULT_SIZE"):
        assert word in error.traceback
    assert sorted(claimed.job.id for claimed in gone) == sorted(claimed.job.id for claimed in claimed_jobs)
    assert queue.calls["refusals"] < 20
    assert f"The outcome of job {bad.id}" in caplog.text


def test_those_that_only_together_are_too_large_all_succeed(acknowledger, queue, gone):
    queue.most = 200_000
    claimed_jobs = fill(acknowledger, queue, *[50_000] * 32)
    settle(acknowledger, queue, 8)
    assert statuses(queue, claimed_jobs) == [SUCCESSFUL] * 32
    refusals = queue.calls["refusals"]
    more = fill(acknowledger, queue, *[50_000] * 32)
    acknowledger.flush()  # it has learnt how much is too much
    assert statuses(queue, more) == [SUCCESSFUL] * 32
    assert queue.calls["refusals"] == refusals


def test_a_batch_is_cut_before_it_comes_to_that(acknowledger, queue):
    claimed_jobs = fill(acknowledger, queue, *[BATCH_SIZE // 3] * 5, 2 * BATCH_SIZE, 1)
    acknowledger.flush()
    assert queue.sizes == [3, 2, 1, 1]
    assert statuses(queue, claimed_jobs) == [SUCCESSFUL] * 7


def test_an_outage_between_two_calls_keeps_only_what_was_not_stored(acknowledger, queue, gone, monkeypatch, caplog):
    claimed_jobs = fill(acknowledger, queue, *[BATCH_SIZE // 2] * 4)
    finish = queue.finish

    def last(outcomes):
        refused = finish(outcomes)
        queue.goes_away()
        return refused

    with monkeypatch.context() as patch:
        patch.setattr(queue, "finish", last)
        with pytest.raises(QueueUnavailable):
            acknowledger.flush()
    assert (len(acknowledger), gone) == (2, claimed_jobs[:2])
    queue.troubles.clear()
    acknowledger.flush()
    assert (len(acknowledger), gone) == (0, claimed_jobs)
    assert statuses(queue, claimed_jobs) == [SUCCESSFUL] * 4
    assert caplog.text == "", "nothing is offered a second time"


def test_a_suspect_and_others_are_stored_once_each(acknowledger, queue, gone, caplog):
    queue.most = 2_000
    [suspect] = fill(acknowledger, queue, 5_000)
    acknowledger.flush()
    queue.most = 10_000
    queue.now += 10
    [fresh] = fill(acknowledger, queue, 1)
    acknowledger.flush()
    acknowledger.flush()
    assert gone == [suspect, fresh]
    assert len(acknowledger) == 0
    assert caplog.text == ""


def test_one_that_was_stored_though_its_reply_was_lost_did_not_come_too_late(acknowledger, queue, monkeypatch, caplog):
    [claimed] = fill(acknowledger, queue, 1)
    finish = queue.finish

    def mute(outcomes):
        finish(outcomes)
        queue.goes_away()
        raise GONE

    with monkeypatch.context() as patch:
        patch.setattr(queue, "finish", mute)
        with pytest.raises(QueueUnavailable):
            acknowledger.flush()
    queue.troubles.clear()
    acknowledger.flush()
    assert len(acknowledger) == 0
    assert statuses(queue, [claimed]) == [SUCCESSFUL]
    assert not claimed.refused
    assert caplog.text == ""


def test_a_large_one_at_the_front_is_offered_alone(acknowledger, queue):
    fill(acknowledger, queue, 2 * BATCH_SIZE, 1)
    acknowledger.flush()
    assert queue.sizes == [1, 1], "and no empty batch before it"


def test_if_all_are_too_large_all_of_them_fail(acknowledger, queue, gone):
    queue.most = 2_000
    claimed_jobs = fill(acknowledger, queue, *[5_000] * 10)
    settle(acknowledger, queue)
    assert statuses(queue, claimed_jobs) == [FAILED] * 10
    assert len(gone) == 10


def test_an_outage_in_the_middle_loses_nothing_and_fails_nobody(acknowledger, queue, gone):
    queue.most = 2_000
    claimed_jobs = fill(acknowledger, queue, *[1] * 5, 1_500, *[1_500] * 5)
    acknowledger.flush()
    queue.most = 10**9
    queue.goes_away()
    for _ in range(3 * MAX_TRIES):
        with pytest.raises(QueueUnavailable):
            acknowledger.flush()
        queue.now += 10
    assert len(acknowledger) + len(gone) == 11
    queue.troubles.clear()
    settle(acknowledger, queue)
    assert statuses(queue, claimed_jobs) == [SUCCESSFUL] * 11
    assert len(gone) == 11


def test_an_outage_costs_a_large_outcome_no_tries(acknowledger, queue):
    queue.most = 2_000
    [claimed] = fill(acknowledger, queue, 5_000)
    for _ in range(MAX_TRIES - 1):
        acknowledger.flush()
        queue.now += 10
    queue.goes_away()
    for _ in range(MAX_TRIES):
        with pytest.raises(QueueUnavailable):
            acknowledger.flush()
        queue.now += 10
    queue.troubles.clear()
    queue.most = 10_000
    settle(acknowledger, queue)
    assert statuses(queue, [claimed]) == [SUCCESSFUL]


def test_a_large_outcome_is_not_offered_all_the_time(acknowledger, queue):
    queue.most = 2_000
    fill(acknowledger, queue, 5_000)
    acknowledger.flush()
    assert 0 < acknowledger.max_wait < 1
    for _ in range(100):
        acknowledger.flush()
    assert queue.calls["refusals"] == 1


def test_the_next_offer_is_that_of_the_first_that_is_due(acknowledger, queue):
    queue.now = 1_000.0
    queue.most = 2_000
    fill(acknowledger, queue, 5_000)
    acknowledger.flush()
    queue.now += 0.06
    fill(acknowledger, queue, 5_000)
    acknowledger.flush()
    assert acknowledger.max_wait == pytest.approx(0.04)


def test_it_is_replaced_when_it_was_refused_five_times(acknowledger, queue, caplog):
    queue.most = 2_000
    [claimed] = fill(acknowledger, queue, 5_000)
    warnings = []
    for _ in range(MAX_TRIES - 1):
        acknowledger.flush()
        queue.now += 60
        warnings.append(caplog.text.count(f"The outcome of job {claimed.job.id}"))
    assert warnings == [0, 1, 1, 1], "once may be a lost connection"
    assert statuses(queue, [claimed]) == [RUNNING]
    acknowledger.flush()
    assert statuses(queue, [claimed]) == [FAILED]


def test_a_suspect_is_offered_though_others_come_in_all_the_time(acknowledger, queue):
    queue.most = 2_000
    [suspect] = fill(acknowledger, queue, 5_000)
    acknowledger.flush()
    queue.most = 10_000
    queue.now += 10
    fill(acknowledger, queue, 1)
    acknowledger.exchange(CLAIM)
    assert statuses(queue, [suspect]) == [SUCCESSFUL]


def test_what_does_not_fit_into_one_call_is_stored_before_more_is_fetched(acknowledger, queue):
    claimed_jobs = fill(acknowledger, queue, *[BATCH_SIZE // 2] * 4)
    acknowledger.exchange(CLAIM)
    assert statuses(queue, claimed_jobs) == [SUCCESSFUL] * 4


def test_a_locked_row_does_not_make_later_calls_small(acknowledger, queue):
    claimed_jobs = fill(acknowledger, queue, 1, 1, 1)
    queue.locked = {claimed_jobs[1].job.id}
    acknowledger.flush()
    acknowledger.flush()
    fill(acknowledger, queue, *[1] * 100)
    acknowledger.flush()
    assert queue.sizes[-1] == 100


@pytest.mark.parametrize(("seconds", "sizes"), [(0, [4, 2, 2]), (10, [4, 1, 1, 1, 1])])
def test_a_batch_that_was_refused_with_a_claim_is_split(acknowledger, queue, seconds, sizes):
    queue.now, queue.seconds = 1_000.0, seconds
    claimed_jobs = fill(acknowledger, queue, 1, 1, 1, 1)
    queue.locked = {claimed.job.id for claimed in claimed_jobs}
    acknowledger.exchange(CLAIM)
    queue.locked.clear()
    acknowledger.flush()
    assert queue.sizes == sizes


def test_the_other_jobs_go_on_meanwhile(acknowledger, queue):
    queue.most = 2_000
    fill(acknowledger, queue, 5_000)
    [waiting] = queue.enqueue([job("nothing")])
    assert [one.id for one in acknowledger.exchange(CLAIM)] == [waiting.id]


def test_an_outcome_that_is_small_waits_on_as_its_size_is_not_the_reason(acknowledger, queue, gone):
    """Its row is locked by somebody, for example."""
    claimed_jobs = fill(acknowledger, queue, 1, 1, 1)
    queue.locked = {claimed_jobs[1].job.id}
    settle(acknowledger, queue)
    assert statuses(queue, claimed_jobs) == [SUCCESSFUL, RUNNING, SUCCESSFUL]
    assert len(acknowledger) == 1
    queue.locked.clear()
    settle(acknowledger, queue)
    assert statuses(queue, claimed_jobs) == [SUCCESSFUL] * 3
    assert len(gone) == 3


def test_a_small_one_is_never_replaced_as_that_would_save_nothing(acknowledger, queue, monkeypatch):
    [claimed] = fill(acknowledger, queue, 1)
    finish = queue.finish

    def picky(outcomes):
        if outcomes[0].status == SUCCESSFUL:
            raise GONE
        return finish(outcomes)

    with monkeypatch.context() as patch:
        patch.setattr(queue, "finish", picky)
        settle(acknowledger, queue)
    settle(acknowledger, queue)
    assert statuses(queue, [claimed]) == [SUCCESSFUL]


@pytest.mark.parametrize(("size", "status"), [(5_000, RUNNING), (MIN_BATCH_SIZE, FAILED)])
def test_what_a_lock_may_be_the_reason_for_is_not_replaced(acknowledger, queue, size, status):
    """A small outcome does not take seconds, whatever the lock is."""
    queue.most, queue.seconds = 2_000, 10.0
    [claimed] = fill(acknowledger, queue, size)
    settle(acknowledger, queue)
    assert statuses(queue, [claimed]) == [status]


def test_a_large_one_waits_on_if_a_short_one_is_refused_as_well(acknowledger, queue):
    claimed_jobs = fill(acknowledger, queue, 5_000)
    queue.locked = {claimed_jobs[0].job.id}
    settle(acknowledger, queue)
    assert statuses(queue, claimed_jobs) == [RUNNING]
    queue.locked.clear()
    settle(acknowledger, queue)
    assert statuses(queue, claimed_jobs) == [SUCCESSFUL]


def test_what_the_queue_calls_an_error_of_the_outcome_is_dropped_in_the_end(acknowledger, queue, gone, caplog):
    queue.refusal = ValueError("a NUL in the text")
    claimed_jobs = fill(acknowledger, queue, 1, 1, 1)
    queue.locked = {claimed_jobs[1].job.id}
    claimed_jobs[1].announcement = lambda: None
    settle(acknowledger, queue)
    assert gone[-1] is claimed_jobs[1]
    assert claimed_jobs[1].announcement is None, "an end that was not stored is not told"
    assert len(acknowledger) == 0
    assert f"The outcome of job {claimed_jobs[1].job.id}" in caplog.text
    assert "a NUL" in caplog.text


def test_too_many_that_wait_alone_are_an_outage(acknowledger, queue):
    claimed_jobs = fill(acknowledger, queue, *[1] * MAX_ASIDE)
    queue.locked = {claimed.job.id for claimed in claimed_jobs}
    with pytest.raises(QueueUnavailable, match="closed"):
        settle(acknowledger, queue)
    queue.locked.clear()
    queue.now += 60
    acknowledger.flush()
    assert statuses(queue, claimed_jobs) == [SUCCESSFUL] * MAX_ASIDE


def test_a_slow_refusal_costs_one_call_a_turn(acknowledger, queue):
    queue.seconds = 10
    claimed_jobs = fill(acknowledger, queue, *[1] * 64)
    queue.locked = {claimed_jobs[40].job.id}
    acknowledger.flush()
    assert queue.calls["refusals"] == 1
    acknowledger.flush()
    assert queue.calls["refusals"] == 2
    assert statuses(queue, claimed_jobs).count(SUCCESSFUL) == 40, "the others are for the next turn"
    acknowledger.flush()
    assert statuses(queue, claimed_jobs).count(SUCCESSFUL) == 63
    assert queue.calls["refusals"] == 2


def test_a_retry_that_is_too_large_is_tried_again_all_the_same(acknowledger, queue):
    queue.most = 2_500
    queue.enqueue([job("nothing", errors=(record_of(ValueError("x" * 5_000)), record_of(OSError("short"))))])
    [claimed] = [ClaimedJob(one) for one in queue.fetch(CLAIM)]
    acknowledger.add(claimed, Outcome(job=claimed.job, status=READY, error=record_of(KeyError("y" * 5_000))))
    settle(acknowledger, queue)
    stored = queue.get(claimed.job.id)
    assert (stored.status, stored.attempt) == (READY, 2)
    paths = [error.exception_class_path for error in stored.errors]
    assert paths == ["builtins.ValueError", "builtins.OSError", "builtins.KeyError"]
    assert "left out" in stored.errors[0].traceback
    assert "refused the outcome" in stored.errors[2].traceback


def test_one_that_is_handed_back_with_large_errors_is_handed_back_all_the_same(acknowledger, queue):
    queue.most = 2_500
    queue.enqueue([job("nothing", errors=(record_of(ValueError("x" * 5_000)),))])
    [claimed] = [ClaimedJob(one) for one in queue.fetch(CLAIM)]
    acknowledger.add(claimed, Outcome.released(claimed.job))
    settle(acknowledger, queue)
    assert (queue.get(claimed.job.id).status, len(acknowledger)) == (READY, 0)


def test_the_token_is_shown_with_the_replacement(acknowledger, queue, caplog):
    """A job that has been given to somebody else meanwhile is not failed."""
    queue.most = 2_000
    [claimed] = fill(acknowledger, queue, 5_000)
    acknowledger.flush()
    queue._jobs.held.clear()
    settle(acknowledger, queue)
    assert queue.get(claimed.job.id) is None
    assert "came too late: it is no longer in the queue (it was deleted, or the store" in caplog.text
    assert acknowledger.refused == 1
    assert "is replaced" not in caplog.text


def _retried(job):
    return Outcome(job=job, status=READY, error=record_of(KeyError("x")))


def _done(job):
    return Outcome(job=job, status=SUCCESSFUL, return_value="1")


@pytest.mark.parametrize("is_fetched_again", [False, True])
@pytest.mark.parametrize("outcome_of", [Outcome.released, _retried, _done])
def test_an_outcome_whose_answer_was_lost_does_not_come_too_late(
    acknowledger, queue, caplog, monkeypatch, gone, outcome_of, is_fetched_again
):
    queue.enqueue([job("nothing")])
    [claimed] = [ClaimedJob(one) for one in queue.fetch(CLAIM)]
    acknowledger.add(claimed, outcome_of(claimed.job))
    queue.loses_the_next_answer(monkeypatch)
    acknowledger.flush()
    if is_fetched_again:
        queue.fetch(CLAIM)
    settle(acknowledger, queue)
    assert (gone, claimed.refused, acknowledger.refused) == ([claimed], False, 0)
    assert "came too late" not in caplog.text


@pytest.mark.parametrize("outcome_of", [Outcome.released, _retried])
def test_an_outcome_without_an_answer_whose_job_was_rescued_comes_too_late(acknowledger, queue, caplog, outcome_of):
    queue.enqueue([job("nothing")])
    [claimed] = [ClaimedJob(one) for one in queue.fetch(CLAIM)]
    acknowledger.add(claimed, outcome_of(claimed.job))
    queue.locked = {claimed.job.id}
    acknowledger.flush()
    queue.finish_for_dead_workers()
    queue.locked = set()
    settle(acknowledger, queue)
    assert (claimed.refused, acknowledger.refused) == (True, 1)
    assert "before or after it was offered for the first time" in caplog.text


@pytest.mark.parametrize(
    ("state", "given_back"),
    [
        ({}, ("api", "db:7")),
        ({"started": True}, ("api", "db:7")),
        ({"released": True}, ("api", "db:7")),
        ({"started": True, "began_at": 1.0}, ()),
        ({"started": True, "released": True}, ()),
    ],
    ids=str,
)
def test_a_job_that_does_not_begin_gives_its_start_back(acknowledger, queue, monkeypatch, state, given_back):
    """One that is handed back while a thread is about to begin it may begin all the same."""
    stored: list[Outcome] = []
    monkeypatch.setattr(queue, "finish", lambda outcomes: stored.extend(outcomes) or set())
    for limit_key in ("api db:7", None):
        claimed = claimed_of("nothing", limit_key=limit_key)
        for name, value in state.items():
            setattr(claimed, name, value)
        acknowledger.add(claimed, Outcome.released(claimed.job))
    acknowledger.flush()
    assert [outcome.gives_back for outcome in stored] == [given_back, ()]
    assert [outcome.has_begun for outcome in stored] == [not given_back] * 2


def test_of_a_batch_only_the_jobs_that_others_have_locked_wait(acknowledger, queue, gone, caplog):
    claimed_jobs = fill(acknowledger, queue, 1, 1, 1, 1)
    queue.locked_by_others = {claimed.job.id for claimed in claimed_jobs[:2]}
    acknowledger.flush()
    assert statuses(queue, claimed_jobs) == [RUNNING, RUNNING, SUCCESSFUL, SUCCESSFUL]
    assert (gone, len(acknowledger)) == (claimed_jobs[2:], 2)
    queue.now += 10
    queue.locked_by_others = {claimed_jobs[1].job.id}
    acknowledger.flush()
    assert (gone, len(acknowledger)) == ([*claimed_jobs[2:], claimed_jobs[0]], 1)
    queue.now += 10
    queue.locked_by_others.clear()
    acknowledger.flush()
    assert statuses(queue, claimed_jobs) == [SUCCESSFUL] * 4
    assert (len(gone), len(acknowledger)) == (4, 0)
    assert queue.sizes == [4, 2, 1], "they are offered together"
    assert caplog.text == ""


def test_a_lock_is_no_refusal_however_long_it_is_held(acknowledger, queue, caplog):
    [claimed] = fill(acknowledger, queue, 5_000)
    queue.locked_by_others = {claimed.job.id}
    settle(acknowledger, queue)
    assert statuses(queue, [claimed]) == [RUNNING]
    assert caplog.text.count(f"job {claimed.job.id} (tests.unit.worker.tasks.nothing)") == 1, "and it is told once"
    assert "locked" in caplog.text
    assert "refuses" not in caplog.text
    queue.locked_by_others.clear()
    settle(acknowledger, queue, 1)
    assert statuses(queue, [claimed]) == [SUCCESSFUL]
    assert not claimed.refused


def test_jobs_are_fetched_and_others_stored_while_one_is_locked(acknowledger, queue, gone):
    [locked] = fill(acknowledger, queue, 1)
    queue.locked_by_others = {locked.job.id}
    [waiting] = queue.enqueue([job("nothing")])
    assert [one.id for one in acknowledger.exchange(CLAIM)] == [waiting.id]
    assert 0 < acknowledger.max_wait < 1
    [other] = fill(acknowledger, queue, 1)
    acknowledger.exchange(CLAIM)
    assert gone == [other]
    queue.now += 10
    [fresh] = fill(acknowledger, queue, 1)
    acknowledger.exchange(CLAIM)
    assert gone == [other, fresh]


def test_what_came_too_late_is_told_though_others_of_its_batch_are_locked(acknowledger, queue, gone):
    [locked] = fill(acknowledger, queue, 1)
    late = claimed_of("nothing")  # the queue does not even know it
    acknowledger.add(late, Outcome(job=late.job, status=SUCCESSFUL))
    queue.locked_by_others = {locked.job.id}
    acknowledger.flush()
    assert gone == [late]
    assert (late.refused, acknowledger.refused) == (True, 1)


def test_a_large_outcome_whose_job_is_locked_when_it_is_replaced_is_kept_whole(acknowledger, queue):
    queue.most = 2_000
    [claimed] = fill(acknowledger, queue, 5_000)
    queue.locked_by_others = {claimed.job.id}
    settle(acknowledger, queue)
    assert statuses(queue, [claimed]) == [RUNNING]
    queue.most = 10_000
    queue.locked_by_others.clear()
    settle(acknowledger, queue)
    assert statuses(queue, [claimed]) == [SUCCESSFUL]
