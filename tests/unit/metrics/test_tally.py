"""Runs are counted by minute, queue, task and outcome."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_loco.core.compat import TaskError
from django_loco.core.job import FAILED, READY, SUCCESSFUL, Job, Outcome, error_of
from django_loco.exceptions import Discard, JobCancelled, JobExpired, LostJob
from django_loco.metrics import tally as tally_module
from django_loco.metrics.names import MAX_LENGTH
from django_loco.metrics.tally import Tally, kind_of
from django_loco.queues.records.minutes import BOUNDS, BUCKETS, Labels

DUE = datetime(2026, 1, 2, tzinfo=UTC)
ERROR = TaskError(exception_class_path="builtins.ValueError", traceback="ValueError\n")


class WallClock:
    now = 600.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def tally(clock) -> Tally:
    return Tally(clock)


def job(task_path: str = "shop.send", *, fetched_after: float = 0.0, **fields) -> Job:
    job = Job(task_path=task_path, backend="default", enqueued_at=DUE, **fields)
    return job.claimed(worker_id="w", token="t", at=job.due_at + timedelta(seconds=fetched_after))


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def end(tally: Tally, job: Job, *, held: float | None = 0.0, duration: float | None = 1.0, **changes) -> None:
    fields: dict[str, Any] = {"job": job, "status": SUCCESSFUL, "at": moment(600)} | changes
    outcome = Outcome(**fields)
    tally.ended(outcome, 5.0, None if held is None else 5.0 + held, duration, is_cancelled=False)


def labels(tally: Tally) -> list[Labels]:
    return [each.labels for each in tally.take()]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"status": SUCCESSFUL}, "successful"),
        ({"status": FAILED, "error": ERROR}, "failed"),
        ({"status": FAILED}, "failed"),
        ({"status": FAILED, "error": error_of(JobCancelled, "by anna")}, "cancelled"),
        ({"status": FAILED, "error": error_of(LostJob, "raised by the task itself")}, "failed"),
        ({"status": READY, "error": ERROR}, "retried"),
        ({"status": FAILED, "error": error_of(Discard, "why")}, "cancelled"),
        ({"status": FAILED, "error": error_of(JobExpired, "late"), "spent": False}, "expired"),
        ({"status": READY, "spent": False}, "interrupted"),
        ({"status": READY, "spent": False, "snoozed": True}, "snoozed"),
    ],
)
def test_each_outcome_has_a_word(changes, kind):
    assert kind_of(Outcome(job=job(), **changes)) == kind


def test_a_job_that_is_handed_back_before_it_began_is_not_counted(tally):
    end(tally, job(), held=None, duration=None, status=READY, spent=False)
    assert tally.take() == []


def test_a_job_that_fails_before_it_began_is_counted_without_times(tally):
    end(tally, job(), held=None, duration=None, status=FAILED, error=ERROR)
    [found] = tally.take()
    assert (found.runs, found.durations[-1], found.waits[-1]) == (1, 0, 0)


def test_a_cancelled_run_is_cancelled_whatever_its_own_end(tally):
    outcome = Outcome(job=job(), status=SUCCESSFUL, at=moment(600))
    tally.ended(outcome, 0.0, 0.0, 3.0, is_cancelled=True)
    assert labels(tally) == [(10, "default", "shop.send", "cancelled")]


def test_a_job_that_was_cancelled_before_it_began_here_is_cancelled_without_times(tally):
    outcome = Outcome(job=job(), status=FAILED, at=moment(600), error=error_of(JobCancelled, "by anna"))
    tally.ended(outcome, 0.0, None, None, is_cancelled=True)
    [found] = tally.take()
    assert (found.labels.outcome, found.runs, found.durations[-1], found.waits[-1]) == ("cancelled", 1, 0, 0)


def test_durations_and_waits_are_summed_and_sorted_into_buckets(tally):
    end(tally, job(fetched_after=0.5), held=0.25, duration=0.01)  # a bound belongs to the bucket below it
    end(tally, job(fetched_after=0.5), held=0.25, duration=0.02)
    end(tally, job(fetched_after=4000), duration=5000.0)
    [found] = tally.take()
    assert found.runs == 3
    assert found.duration_seconds == pytest.approx(5000.03)
    assert found.wait_seconds == pytest.approx(4001.5)
    assert found.durations == (1, *[2] * (BUCKETS - 2), 3)
    assert found.waits == (0, 0, 0, 0, *[2] * (BUCKETS - 5), 3)


@pytest.mark.parametrize("bucket", range(len(BOUNDS)))
def test_a_bound_is_the_largest_number_of_its_bucket(tally, bucket):
    for seconds in (BOUNDS[bucket], BOUNDS[bucket] * 1.001):
        end(tally, job(), duration=seconds)
    [found] = tally.take()
    assert found.durations == (*[0] * bucket, 1, *[2] * (BUCKETS - bucket - 1))


def test_a_retry_waits_from_when_it_is_due(tally):
    end(tally, job(run_after=DUE + timedelta(hours=1), fetched_after=2))
    assert tally.take()[0].wait_seconds == 2.0


def test_a_clock_that_differs_makes_no_wait_negative(tally):
    end(tally, job(fetched_after=-30))
    [found] = tally.take()
    assert (found.wait_seconds, found.waits[0]) == (0.0, 1)


def test_lost_runs_have_no_times(tally):
    tally.lost([job(), job(), job("shop.other")])
    runs = {each.labels.task_path: (each.labels.outcome, each.runs, each.durations[-1]) for each in tally.take()}
    assert runs == {"shop.send": ("lost", 2, 0), "shop.other": ("lost", 1, 0)}


def test_a_lost_run_that_was_the_last_has_failed(tally):
    tally.lost([replace(job(), status=FAILED), job()])
    assert {each.labels.outcome: each.runs for each in tally.take()} == {"failed": 1, "lost": 1}


def test_the_wait_of_a_node_begins_with_its_release(tally):
    node = {"name": "load", "after": ["extract"], "released": (DUE + timedelta(seconds=6)).isoformat()}
    end(tally, replace(job(fetched_after=7), options={"node": node}))
    [found] = tally.take()
    assert found.wait_seconds == pytest.approx(1.0)


def test_a_run_counts_in_the_minute_of_its_end_and_once(tally):
    for seconds in (600, 660, 659.9, 720):
        end(tally, job(), at=moment(seconds))
    assert sorted((each.labels.minute, each.runs) for each in tally.take()) == [(10, 2), (11, 1), (12, 1)]
    assert tally.take() == []


def test_a_lost_run_counts_in_the_minute_of_its_rescue(tally, clock):
    for clock.now in (600.0, 659.9, 660.0):
        tally.lost([job()])
    assert [(each.labels.minute, each.runs) for each in tally.take()] == [(10, 2), (11, 1)]


def test_many_runs_are_added_up_now_and_then(tally, monkeypatch):
    monkeypatch.setattr(tally_module, "TOGETHER", 3)
    for number in range(8):
        end(tally, job(f"shop.task_{number % 2}"), duration=float(number))
        assert len(tally._runs) == (number + 1) % 3
    found = {each.labels.task_path: (each.runs, each.duration_seconds) for each in tally.take()}
    assert found == {"shop.task_0": (4, 0 + 2 + 4 + 6), "shop.task_1": (4, 1 + 3 + 5 + 7)}


def test_names_are_cut(tally):
    end(tally, job("t" * 10_000, queue_name="q" * 10_000))
    assert labels(tally) == [(10, "q" * MAX_LENGTH, "t" * MAX_LENGTH, "successful")]


def test_nothing_is_lost_between_threads(tally):
    taken: list[int] = []
    ended = threading.Event()

    def take() -> None:
        while not ended.is_set():
            taken.extend(each.runs for each in tally.take())

    def count() -> None:
        for _ in range(2_000):
            end(tally, job())

    taker = threading.Thread(target=take)
    counters = [threading.Thread(target=count) for _ in range(3)]
    for thread in (taker, *counters):
        thread.start()
    for thread in counters:
        thread.join()
    ended.set()
    taker.join()
    assert sum(taken) + sum(each.runs for each in tally.take()) == 6_000


def test_a_run_that_ends_while_others_are_added_up_stays_for_the_next_time(tally):
    class Busy(list):
        """Gets one more run between the moment when it is read and that when it is emptied."""

        def __delitem__(self, key):
            self.append(self[0])
            super().__delitem__(key)

    end(tally, job())
    tally._runs = Busy(tally._runs)
    assert [each.runs for each in tally.take()] == [1]
    assert len(tally._runs) == 1
