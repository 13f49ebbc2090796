"""The event loop and its lanes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from asgiref.sync import sync_to_async

from django_loco.core.compat import task_finished
from django_loco.core.job import FAILED, READY, SUCCESSFUL, error_of
from django_loco.exceptions import JobCancelled
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.outcomes.inbox import OutcomeInbox
from django_loco.worker.pools.event_loop import EventLoopPool
from django_loco.worker.pools.loop_thread import LoopThread

from .. import tasks
from ..support import claimed_of, outcomes, wait_until
from .contract import PoolContract


@pytest.fixture
def pool(finished: OutcomeInbox) -> Iterator[EventLoopPool]:
    pool = EventLoopPool(3, 2, "default", finished.add)
    yield pool
    for event in list(tasks.events.values()):
        event.set()
    pool.close()
    assert pool.join(5)
    assert pool._thread is None or pool._thread.has_ended


def submit(pool: EventLoopPool, claimed_jobs: Sequence[ClaimedJob]) -> None:
    pool.submit(claimed_jobs)


class TestEventLoopPool(PoolContract):
    waits = "await_for"
    forks = ("aforks", "aforks_in_a_thread")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_that_awaits_ends_and_runs_no_other_job(pool, finished):
    claimed = claimed_of("aforks_and_awaits")
    submit(pool, [claimed])
    assert outcomes(finished, 1) == {claimed: SUCCESSFUL}
    assert claimed.outcome is not None
    assert claimed.outcome.return_value == "0"


def test_nothing_starts_without_a_job(pool):
    assert pool._thread is None
    assert pool.lag == 0
    pool.cancel()
    pool.close()
    assert pool.join(0)


def test_jobs_have_no_part_in_each_others_context(pool, finished):
    claimed_jobs = [claimed_of("aleak") for _ in range(10)]
    submit(pool, claimed_jobs)
    wait_until(lambda: len(finished._items) == 10)
    assert {outcome.return_value for _, outcome in finished.take()} == {'"clean"'}


def test_a_timeout_cancels(pool, finished):
    submit(pool, [claimed_of("asleep")])
    wait_until(lambda: finished._items)
    [(_, outcome)] = finished.take()
    assert outcome.status == FAILED
    assert outcome.error.exception_class_path == "django_loco.exceptions.JobTimeout"
    assert "longer than its timeout of 0.05 s" in outcome.error.traceback
    assert "in asleep" in outcome.error.traceback


def test_a_job_may_clean_up_at_its_timeout(pool, finished):
    submit(pool, [claimed_of("asleep_and_clean_up")])
    wait_until(lambda: finished._items)
    assert finished.take()[0][1].return_value == '"cleaned up"'


def test_a_timeout_of_the_jobs_own_is_an_error_like_any_other(pool, finished):
    submit(pool, [claimed_of("own_timeout")])
    wait_until(lambda: finished._items)
    assert finished.take()[0][1].error.exception_class is TimeoutError


def test_a_job_that_swallows_its_cancellation_is_given_up(pool, finished, caplog):
    pool._grace = 0.05
    claimed = claimed_of("astubborn", "s")
    submit(pool, [claimed])
    wait_until(lambda: finished._items)
    [(reported, outcome)] = finished.take()
    assert reported is claimed
    assert outcome.status == FAILED
    assert "could not be interrupted" in outcome.error.traceback
    assert "in stubborn" in outcome.error.traceback  # where it waits
    assert pool.abandoned == 1
    submit(pool, [claimed_of("anothing") for _ in range(5)])
    assert list(outcomes(finished, 5).values()) == [SUCCESSFUL] * 5
    tasks.events["s"].set()
    wait_until(lambda: pool.abandoned == 0)
    assert finished.take() == []


def test_a_job_that_a_thread_holds_up_ends_at_its_timeout(pool, finished, receivers):
    announced: list[object] = []
    receivers(announced.append)
    claimed = claimed_of("ablocked", "a")
    pool._grace = 60
    submit(pool, [claimed])
    assert outcomes(finished, 1) == {claimed: FAILED}
    assert len(announced) == 1
    assert claimed.job.progress is not None
    assert pool.abandoned == 1
    tasks.events["a"].set()
    wait_until(lambda: pool.abandoned == 0)


def test_jobs_that_are_given_up_leave_their_lanes_to_others(pool, finished):
    pool._grace = 0.05
    stuck = [claimed_of("ablocked_stubborn", name) for name in "ab"]  # as many as there are lanes
    waiting = claimed_of("ain_a_thread", "c")
    tasks.events["c"].set()
    submit(pool, stuck)
    for name in "ab":
        tasks.retried(tasks.events[f"{name} began"])
    submit(pool, [waiting])
    assert outcomes(finished, 3) == {**dict.fromkeys(stuck, FAILED), waiting: SUCCESSFUL}
    later = claimed_of("ain_a_thread", "c")
    submit(pool, [later])
    assert outcomes(finished, 1) == {later: SUCCESSFUL}
    assert pool.abandoned == 2
    for name in "ab":
        tasks.events[name].set()
    wait_until(lambda: pool.abandoned == 0)
    assert finished.take() == []


def test_an_announcement_that_does_not_end_does_not_hold_up_a_job_that_has_reached_its_timeout(
    pool, finished, receivers, caplog
):
    pool._grace = 0.05
    receivers(lambda _: tasks.retried(tasks.events["a"]))
    claimed = claimed_of("asleep")
    submit(pool, [claimed])
    assert outcomes(finished, 1) == {claimed: FAILED}
    assert "The announcement of the end" in caplog.text
    assert "in aannounce_finished" in caplog.text
    assert (pool.abandoned, pool._tasks) == (1, {})
    tasks.events["a"].set()
    wait_until(lambda: pool.abandoned == 0)
    assert finished.take() == []


def test_nor_does_progress_that_cannot_be_stored(pool, finished):
    def store(*args: object) -> bool:
        tasks.retried(tasks.events["store"])
        return True

    pool._grace = 0.05
    claimed = claimed_of("ablocked", "a")
    claimed.update = store
    submit(pool, [claimed])
    assert outcomes(finished, 1) == {claimed: FAILED}
    for name in ("a", "store"):
        tasks.events[name].set()
    wait_until(lambda: pool.abandoned == 0)
    assert finished.take() == []


def test_a_job_is_given_up_without_a_thread_for_its_report(pool, finished, monkeypatch, caplog):
    start = threading.Thread.start

    def refuse(thread):
        if thread.name == "loco-worker-report":
            raise RuntimeError("can't start new thread")
        start(thread)

    pool._grace = 0.05
    monkeypatch.setattr(threading.Thread, "start", refuse)
    claimed = claimed_of("astubborn", "s")
    submit(pool, [claimed])
    assert outcomes(finished, 1) == {claimed: FAILED}
    assert "could not be interrupted" in caplog.text
    tasks.events["s"].set()
    wait_until(lambda: pool.abandoned == 0)


def test_a_job_that_begins_while_the_loop_is_being_started_can_be_cancelled(pool, finished, monkeypatch):
    claimed = claimed_of("auntil_cancelled", "a")
    start = threading.Thread.start

    def start_slowly(thread):
        start(thread)
        if thread.name == "loco-worker-loop":
            assert tasks.events["a began"].wait(20)
            claimed.cancelled = error_of(JobCancelled, "by anna")
            pool.interrupt(claimed)

    monkeypatch.setattr(threading.Thread, "start", start_slowly)
    submit(pool, [claimed])
    wait_until(lambda: finished._items)
    assert finished.take()[0][1].status == FAILED


def test_cancelled_jobs_go_back(pool, finished):
    claimed_jobs = [claimed_of("await_for", name) for name in "ab"]
    submit(pool, claimed_jobs)
    for name in "ab":
        tasks.retried(tasks.events[f"{name} began"])
    pool.cancel()
    assert outcomes(finished, 2) == dict.fromkeys(claimed_jobs, READY)
    assert all(claimed.stopping for claimed in claimed_jobs)


def test_a_cancelled_job_may_clean_up(pool, finished):
    claimed = claimed_of("aclean_up", "a")
    submit(pool, [claimed])
    tasks.retried(tasks.events["a began"])
    for _ in range(3):
        pool.cancel()
        time.sleep(0.005)
    assert outcomes(finished, 1) == {claimed: READY}
    assert tasks.told == ["cleaned up"]


@pytest.mark.parametrize("then", ["interrupt", "cancel"])
def test_so_may_one_that_somebody_has_cancelled(pool, finished, then):
    claimed = claimed_of("aclean_up", "a")
    submit(pool, [claimed])
    tasks.retried(tasks.events["a began"])
    claimed.cancelled = error_of(JobCancelled, "by anna")
    pool.interrupt(claimed)
    tasks.retried(tasks.events["a cleans up"])
    pool.cancel() if then == "cancel" else pool.interrupt(claimed)
    assert outcomes(finished, 1) == {claimed: FAILED}
    assert tasks.told == ["cleaned up"]


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
def test_no_job_ends_the_loop(pool, finished, name):
    submit(pool, [claimed_of("aend", name)])
    assert list(outcomes(finished, 1).values()) == [FAILED]
    submit(pool, [claimed_of("anothing")])
    assert list(outcomes(finished, 1).values()) == [SUCCESSFUL]


def test_nor_does_a_task_of_a_job(pool, finished, caplog):
    claimed = claimed_of("aend_in_a_task")
    submit(pool, [claimed])
    assert outcomes(finished, 1) == {claimed: FAILED}
    submit(pool, [claimed_of("anothing")])
    assert list(outcomes(finished, 1).values()) == [SUCCESSFUL]
    assert "tried to end the event loop" in caplog.text


def test_no_job_ends_the_threads_for_calls_of_others(pool, finished, caplog):
    tasks.events["a"].set()
    for name, arguments in [("asleep_in_a_thread", "a"), ("aend_executor", None), ("asleep_in_a_thread", "a")]:
        claimed = claimed_of(name, *([arguments] if arguments else []))
        submit(pool, [claimed])
        assert outcomes(finished, 1) == {claimed: SUCCESSFUL}
    assert "shutdown_default_executor(), which does nothing" in caplog.text


def test_the_threads_of_to_thread_do_not_keep_the_process_and_end_with_the_loop(pool, finished):
    claimed = claimed_of("asleep_in_a_thread", "a")
    submit(pool, [claimed])
    tasks.retried(tasks.events["a began"])
    [thread] = [thread for thread in threading.enumerate() if thread.name.startswith("asyncio_")]
    assert thread.daemon
    tasks.events["a"].set()
    assert outcomes(finished, 1) == {claimed: SUCCESSFUL}
    pool.close()
    thread.join(10)
    assert not thread.is_alive()


def test_a_sync_function_on_the_loop_runs_in_a_thread(pool, finished):
    """The job was enqueued when it was async."""
    claimed_jobs = [claimed_of("wait_for", name, is_async=True) for name in "ab"]
    submit(pool, claimed_jobs)
    for name in "ab":
        tasks.retried(tasks.events[f"{name} began"])
        tasks.events[name].set()
    assert outcomes(finished, 2) == dict.fromkeys(claimed_jobs, SUCCESSFUL)


def test_the_loop_tells_when_a_job_holds_it_up(pool, finished):
    submit(pool, [claimed_of("anothing")])
    outcomes(finished, 1)
    assert pool.lag == 0
    pool._thread._last_beat -= 10
    assert 7 < pool.lag < 9


def test_sync_receivers_run_in_a_thread_where_the_orm_may_be_used(pool, finished):
    threads: list[str] = []

    def receiver(**kwargs: object) -> None:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        threads.append(threading.current_thread().name)

    task_finished.connect(receiver)
    try:
        submit(pool, [claimed_of("anothing"), claimed_of("afail")])
        outcomes(finished, 2)
    finally:
        task_finished.disconnect(receiver)
    assert len(threads) == 2
    assert all(name.startswith("loco-worker-lane-") for name in threads)


# Lanes


def test_thread_sensitive_calls_of_a_job_share_a_thread_and_jobs_do_not_wait_for_each_other(
    pool, finished, monkeypatch
):
    names: dict[str, list[str]] = {}
    both = threading.Barrier(2)

    def work(job: str) -> None:
        names.setdefault(job, []).append(threading.current_thread().name)
        both.wait(10)  # broken if the two jobs were sent to one thread

    async def job(name: str) -> None:
        for _ in range(3):
            await sync_to_async(work)(name)

    claimed_jobs = [claimed_of("anothing") for _ in "ab"]

    async def call(lane, attempt):
        await job(attempt.job.id)

    monkeypatch.setattr(pool, "_call", call)
    submit(pool, claimed_jobs)
    assert outcomes(finished, 2) == dict.fromkeys(claimed_jobs, SUCCESSFUL)
    assert sorted(len(set(used)) for used in names.values()) == [1, 1]
    assert len({used[0] for used in names.values()}) == 2


def test_closing_cancels_what_still_runs(finished):
    pool = EventLoopPool(3, 2, "default", finished.add)
    submit(pool, [claimed_of("await_for", "a")])
    tasks.retried(tasks.events["a began"])
    pool.close()
    assert pool.join(5)  # the job would take longer
    assert pool._thread.has_ended


def test_a_loop_that_is_started_when_the_pool_was_closed_ends(finished):
    pool = EventLoopPool(2, 2, "default", finished.add)
    pool.close()
    pool.submit([claimed_of("anothing")])
    assert pool.join(5)
    assert pool._thread.has_ended
    assert len(pool.withdraw(2)) == 1


def test_a_loop_that_is_closed_at_any_moment_can_be_asked(finished, monkeypatch):
    pool = EventLoopPool(2, 2, "default", finished.add)
    submit(pool, [claimed_of("anothing")])
    assert list(outcomes(finished, 1).values()) == [SUCCESSFUL]
    pool.close()
    assert pool.join(5)
    monkeypatch.setattr(pool._thread.loop, "is_closed", lambda: False)  # as it was a moment ago
    for ask in (pool.resume, pool.cancel, pool.close, pool.warm_up, lambda: pool.interrupt(claimed_of("anothing"))):
        ask()
    pool._thread = None
    pool.cancel()


def test_an_event_loop_that_has_died_is_started_anew(finished, monkeypatch):
    monkeypatch.setattr(LoopThread, "_run", lambda thread: thread.loop.close())
    pool = EventLoopPool(2, 2, "default", finished.add)
    pool._start_loop()
    wait_until(lambda: pool.missing == 1)
    claimed = claimed_of("anothing")
    claimed.started, pool._tasks[claimed] = True, None
    monkeypatch.undo()
    pool.replace_dead()
    assert outcomes(finished, 1) == {claimed: READY}
    pool.submit([claimed_of("anothing")])
    assert list(outcomes(finished, 1).values()) == [SUCCESSFUL]
    pool.close()
    assert pool.join(5)
