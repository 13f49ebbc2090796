"""``task_finished`` where another worker may have the job: told once the queue has accepted the end, or not at all."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextvars import Context
from typing import Any

import pytest

from django_loco.core.compat import task_finished, task_started
from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, Job, Outcome
from django_loco.exceptions import JobTimeout, QueueUnavailable
from django_loco.queues import Claim
from django_loco.worker.execution import announcements
from django_loco.worker.execution.attempt import Attempt
from django_loco.worker.execution.executor import give_up
from django_loco.worker.execution.preparation import prepare
from django_loco.worker.maintenance.heartbeat import VALID_PART, Heartbeat
from django_loco.worker.maintenance.housekeeping import Housekeeping
from django_loco.worker.maintenance.reaper import Reaper

from .. import tasks
from ..support import TroubledQueue, claimed_of, fetched, job, wait_until
from .test_executor import on_a_loop, on_a_thread


class Heard:
    """What a receiver has heard of each end, and where."""

    def __init__(self) -> None:
        self.statuses: list[str] = []
        self.errors: list[type[BaseException] | None] = []
        self.threads: list[str] = []

    def __call__(self, task_result: Any, **kwargs: Any) -> None:
        self.errors.append(sys.exc_info()[0])
        self.threads.append(threading.current_thread().name)
        self.statuses.append(task_result.status)


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard = Heard()
    task_finished.connect(heard)
    yield heard
    task_finished.disconnect(heard)


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


def test_the_outcome_of_a_job_that_is_given_up_is_known_while_its_end_is_announced():
    """A worker that has to end then stores it."""
    claimed, known = claimed_of("nothing"), []
    attempt = prepare(claimed)
    assert isinstance(attempt, Attempt)
    assert claimed.decide()
    error = JobTimeout("it hangs")
    error.add_note("It was at line 7.")
    receiver = lambda **_: known.append(claimed.outcome)  # noqa: E731 - a weak reference is kept to it
    task_finished.connect(receiver)
    outcome = Context().run(give_up, attempt, error)
    task_finished.disconnect(receiver)
    assert known == [outcome]


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("state", [{"expired": True}, {"refused": True}, {"valid_until": 0.0}], ids=str)
@pytest.mark.parametrize(("name", "status", "error"), [("add", SUCCESSFUL, None), ("fail", FAILED, ValueError)])
def test_the_end_of_a_doubtful_run_waits(heard, kind, state, name, status, error):
    claimed = claimed_of(name if kind == "sync" else f"a{name}", 1)

    def lose(**kwargs: Any) -> None:
        for attribute, value in state.items():
            setattr(claimed, attribute, value)

    task_started.connect(lose)
    outcome = on_a_thread(claimed) if kind == "sync" else on_a_loop(claimed)
    task_started.disconnect(lose)
    assert outcome.status == status
    assert heard.statuses == []
    Context().run(claimed.announcement)
    assert (heard.statuses, heard.errors) == ([status], [error])


def test_a_retry_does_not_wait():
    claimed = claimed_of("fail_often")
    claimed.valid_until = 0.0
    assert on_a_thread(claimed).status == READY
    assert claimed.announcement is None


def test_a_claim_is_valid_from_when_it_was_asked_for_and_from_each_renewal(queue, start):
    before = time.monotonic()
    [one] = queue.enqueue([job("wait_for", "v")])
    worker = start(on=queue, lease=100)
    tasks.retried(tasks.events["v began"])
    claimed = worker._held[one.id]
    assert before + 90 <= claimed.valid_until <= claimed.fetched_at + 90
    fetched_until = claimed.valid_until
    worker._heartbeat.turn()
    assert fetched_until < claimed.valid_until <= time.monotonic() + VALID_PART * 100


def test_a_claim_that_is_not_renewed_in_time_becomes_doubtful(queue):
    claimed_jobs = fetched(queue, 1)
    [claimed] = claimed_jobs.values()
    Heartbeat(queue, claimed_jobs, 0.05).turn()
    wait_until(lambda: claimed.is_doubtful)


def end_after(queue: TroubledQueue, start: Any, name: str, meanwhile: Any, then: Any = lambda: None) -> Any:
    """Let a worker that cannot renew end a job after ``meanwhile``; return the worker."""
    queue.troubles["renew"] = QueueUnavailable("away")
    [one] = queue.enqueue([job(name, "w")])
    worker = start(on=queue, threads=1, lease=0.3)
    worker._heartbeat.end()
    tasks.retried(tasks.events["w began"])
    claimed = worker._held[one.id]
    wait_until(lambda: claimed.is_doubtful)
    meanwhile()
    tasks.events["w"].set()
    wait_until(lambda: claimed.ended)
    then()
    wait_until(lambda: one.id not in worker._held)
    return worker


@pytest.mark.parametrize("name", ["wait_for", "await_for"])
def test_it_is_told_once_when_nobody_has_taken_the_job(queue, start, heard, name, monkeypatch):
    monkeypatch.setattr(Reaper, "_rescue", lambda reaper: None)
    end_after(queue, start, name, lambda: None)
    wait_until(lambda: heard.statuses)
    assert (heard.statuses, heard.threads) == ([SUCCESSFUL], ["loco-worker-announcer"])


def test_also_when_the_worker_ends_right_after(queue, start, heard, monkeypatch):
    monkeypatch.setattr(Reaper, "_rescue", lambda reaper: None)
    monkeypatch.setattr(Housekeeping, "turn", lambda housekeeping: 30.0)
    worker = end_after(queue, start, "wait_for", lambda: None)
    worker.stop(time.monotonic() + 5)
    assert worker.join(10)
    assert heard.statuses == [SUCCESSFUL]


@pytest.mark.parametrize("name", ["wait_for", "await_for"])
def test_it_is_not_told_when_somebody_has(queue, start, heard, name, caplog):
    def fail_as_lost() -> None:
        [running] = queue.list(status=RUNNING)
        queue.finish([Outcome(job=running, status=FAILED)])

    worker = end_after(queue, start, name, fail_as_lost)
    assert "came too late" in caplog.text
    worker.stop(time.monotonic() + 5)
    assert worker.join(10)
    assert heard.statuses == []


def test_two_workers_and_one_end(queue, start, heard, monkeypatch):
    """A stale worker and the one that has rescued its job."""
    other: list[Job] = []

    def take_over() -> None:
        wait_until(queue.rescue)
        other.extend(queue.fetch(Claim(worker_id="other", lease=30, threads=1)))

    monkeypatch.setattr(Reaper, "_rescue", lambda reaper: None)
    worker = end_after(queue, start, "wait_for", take_over)
    assert [one.worker_id for one in other] == ["other"]
    worker.stop(time.monotonic() + 5)
    assert worker.join(10)
    assert heard.statuses == []
    assert queue.get(other[0].id).status == RUNNING


# Rescues


class AnswersLost(TroubledQueue):
    """Does what it is asked to, and then says that it cannot be reached."""

    def __init__(self) -> None:
        super().__init__()
        self.losing: set[str] = set()
        self.has_lost = threading.Event()

    def rescue(self, limit: int = 100) -> list[Job]:
        return self._lose("rescue", super().rescue(limit))

    def finish(self, outcomes: Any) -> Any:
        return self._lose("finish", super().finish(outcomes))

    def _lose(self, name: str, answer: Any) -> Any:
        if name in self.losing:
            self.has_lost.set()
            raise QueueUnavailable("no answer")
        return answer

    def answer_again(self) -> None:
        assert self.has_lost.wait(10)
        self.losing.clear()


@pytest.fixture
def losing() -> AnswersLost:
    return AnswersLost()


def test_an_end_that_was_stored_without_an_answer_is_told_once(losing, start, heard, monkeypatch):
    monkeypatch.setattr(Reaper, "_rescue", lambda reaper: None)
    worker = end_after(losing, start, "wait_for", lambda: losing.losing.add("finish"), losing.answer_again)
    wait_until(lambda: heard.statuses)
    worker.stop(time.monotonic() + 5)
    assert worker.join(10)
    assert heard.statuses == [SUCCESSFUL]


def dying(queue: TroubledQueue, lease: float, **fields: Any) -> str:
    """Let a worker fetch a job that has taken two others down."""
    [one] = queue.enqueue([job("nothing", lost=2, **fields)])
    queue.fetch(Claim(worker_id="host:1:dead", lease=lease, threads=1))
    return one.id


def test_a_job_that_fails_in_a_rescue_without_an_answer_is_told_once(losing, heard):
    failed = dying(losing, -1)
    housekeeping = Housekeeping(losing, 30, 60)
    losing.losing = {"rescue"}
    housekeeping._guarded_turn()
    housekeeping._guarded_turn()
    assert losing.get(failed).status == FAILED
    assert heard.statuses == []
    losing.losing.clear()
    for _ in range(3):
        housekeeping._guarded_turn()
    assert (heard.statuses, [error.__name__ for error in heard.errors]) == ([FAILED], ["LostJob"])


def test_so_is_one_of_a_worker_that_is_known_to_be_dead(losing, heard):
    failed = dying(losing, 30)
    housekeeping = Housekeeping(losing, 30, 60, dead=("dead",))
    losing.losing = {"finish"}
    housekeeping._guarded_turn()
    assert losing.get(failed).status == FAILED
    losing.losing.clear()
    housekeeping._guarded_turn()
    assert heard.statuses == [FAILED]


def test_what_has_failed_otherwise_or_at_another_time_is_not_told_again(losing, heard):
    housekeeping = Housekeeping(losing, 30, 60)
    dying(losing, -1)
    housekeeping._guarded_turn()
    assert heard.statuses.count(FAILED) == 1
    time.sleep(0.005)
    losing.losing = {"rescue"}
    housekeeping._guarded_turn()
    losing.enqueue([job("nothing")])
    [running] = losing.fetch(Claim(worker_id="w", lease=30, threads=1))
    losing.finish([Outcome(job=running, status=FAILED)])
    losing.losing.clear()
    housekeeping._guarded_turn()
    assert heard.statuses.count(FAILED) == 1


def test_a_job_that_cannot_be_told_of_does_not_hide_the_next_one(losing, heard, caplog, monkeypatch):
    shown = announcements.shown_result_of
    broken = [dying(losing, -1) for _ in range(3)][1]

    def shown_result_of(one: Job) -> Any:
        if one.id == broken:
            raise ValueError("nothing can be shown of this")
        return shown(one)

    monkeypatch.setattr(announcements, "shown_result_of", shown_result_of)
    Housekeeping(losing, 30, 60)._guarded_turn()
    assert heard.statuses == [FAILED] * 2
    assert f"The end of job {broken} could not be announced" in caplog.text


# Outcomes that the queue refuses


@pytest.mark.slow
def test_a_result_that_the_queue_refuses_is_told_as_the_failure_that_it_becomes(start, heard):
    class Narrow(TroubledQueue):
        def finish(self, outcomes: Any) -> Any:
            if any(outcome.status == SUCCESSFUL for outcome in outcomes):
                raise ValueError("too large")
            return super().finish(outcomes)

    narrow = Narrow()
    [one] = narrow.enqueue([job("tell", "x" * 5_000)])
    start(on=narrow, lease=0.5)
    wait_until(lambda: len(heard.statuses) == 2, 20)
    assert narrow.get(one.id).status == FAILED
    assert heard.statuses == [SUCCESSFUL, FAILED]
    assert [error and error.__name__ for error in heard.errors] == [None, "ResultRefused"]
