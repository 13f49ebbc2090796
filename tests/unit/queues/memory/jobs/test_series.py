"""The series of a queue in memory hold the jobs that it has, and no others."""

import pytest

from django_loco.core.job import SUCCESSFUL, Job, JobSummary, Outcome
from django_loco.queues import Claim
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.memory.jobs.series import Series


def job(key):
    return Job(task_path="a.b", backend="default", key=key)


@pytest.fixture
def queue():
    return MemoryQueue("default", {"max_results": 3})


def end(queue):
    held = queue.fetch(Claim(worker_id="w", lease=30, threads=100))
    queue.finish([Outcome(job=each, status=SUCCESSFUL) for each in held])


def test_a_key_without_an_at_is_of_no_series():
    assert [job(key).series for key in ("a@b@c", "@c", "a@", "a", "", None)] == ["a@b", "", "a", None, None, None]
    series = Series()
    series.add(job("a"))
    series.add(job(None))
    assert len(series) == 0


def test_what_is_dropped_leaves_nothing_behind():
    series, one = Series(), job("a@1")
    series.add(one)
    series.add(one)
    assert (len(series), series.newest("a", 5)) == (1, [one.id])
    series.drop(one)
    series.drop(one)
    assert (len(series), series._ids) == (0, {})


def test_results_that_are_too_many_leave_their_series(queue):
    queue.enqueue([job(f"a@{number}") for number in range(10)])
    end(queue)
    assert len(queue.series("a")) == len(queue._jobs.series) == 3


def test_what_is_pruned_leaves_its_series(queue):
    queue.enqueue([job("a@1"), job("b@1")])
    end(queue)
    queue.prune(-1)
    assert len(queue._jobs.series) == 0


def test_what_is_saved_leaves_its_series_and_comes_back(queue, tmp_path):
    queue.enqueue([job("a@1"), job("a@2")])
    queue.save(tmp_path)
    assert len(queue._jobs.series) == 0
    queue.load(tmp_path)
    assert sorted(each.key for each in queue.series("a")) == ["a@1", "a@2"]


def test_what_could_not_be_saved_stays_in_its_series(queue, tmp_path):
    (tmp_path / "file").touch()
    queue.enqueue([job("a@1")])
    with pytest.raises(OSError, match="file"):
        queue.save(tmp_path / "file")
    assert len(queue.series("a")) == 1


def test_a_job_that_runs_in_the_foreground_is_of_its_series(queue):
    held = queue.hold(job("a@1"), "w", 30)
    assert queue.series("a") == [JobSummary.of(held)]
    queue.finish([Outcome(job=held, status=SUCCESSFUL)])
    assert [each.status for each in queue.series("a")] == [SUCCESSFUL]
