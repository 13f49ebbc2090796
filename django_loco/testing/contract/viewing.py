"""The contract of the methods that inspect a queue, such as ``series``, and of the methods that clean it up."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from ...core.compat import TaskError
from ...core.job import FAILED, READY, RUNNING, SUCCESSFUL, Job, JobCall, JobSummary, Outcome, new_id
from .case import ContractCase, done, failed, in_seconds, retry

#: Names that a store could mistake for patterns, escapes, or several names.
NAMES = ("nightly", "night", "nightly@", "a@b", "@", "%", "_ight%", "*", "[a-z]", '"\\', "ä€𝄞", "tab\t", "NIGHTLY", "")


def call_of(job: Job | JobCall) -> JobCall:
    """Return the call of ``job``."""
    return JobCall(id=job.id, backend=job.backend, task_path=job.task_path, arguments=job.arguments)


class ViewContract(ContractCase):
    """``list`` and its pages, ``counts``, ``oldest_due``, ``prune`` and ``clear``."""

    def test_an_empty_queue_has_nothing_to_show(self) -> None:
        assert self.queue.list() == []
        assert self.queue.counts() == {}
        assert self.queue.oldest_due() is None
        assert self.queue.prune(0) == 0

    def test_the_newest_are_listed_first(self) -> None:
        jobs = []
        for _ in range(5):
            jobs.append(self.enqueue())
            time.sleep(0.002)  # ids have a resolution of milliseconds
        assert self.queue.list() == jobs[::-1]
        assert self.queue.list(limit=2) == jobs[:2:-1]

    def test_an_id_is_known_in_each_form(self) -> None:
        job = self.enqueue()
        for form in (str(UUID(job.id)), job.id.upper()):
            found = self.queue.get(form)
            assert found is not None
            assert found.id == job.id

    def test_what_is_no_id_and_no_number_of_jobs_finds_nothing(self) -> None:
        job = self.enqueue()
        assert [each.id for each in self.queue.get_many(["x", "", job.id])] == [job.id]
        assert self.queue.list(limit=0) == self.queue.list(limit=-1) == []

    def test_a_status_can_be_asked_for(self) -> None:
        self.queue.finish([done(first := self.held())])
        self.queue.finish([failed(second := self.held())])
        third, fourth = self.held(), self.enqueue()
        wanted = {SUCCESSFUL: first, FAILED: second, RUNNING: third, READY: fourth}
        for status, job in wanted.items():
            assert [found.id for found in self.queue.list(status=status)] == [job.id]
            assert self.queue.list(status=status) == [self.stored(job)]

    def test_jobs_are_counted_by_queue_and_status(self) -> None:
        self.queue.enqueue([self.job(queue_name="a") for _ in range(3)])
        self.queue.finish([done(job) for job in self.fetch(threads=2)])
        self.queue.enqueue([self.job(queue_name="b"), self.job(queue_name="b", run_after=in_seconds(60))])
        assert self.queue.counts() == {("a", READY): 1, ("a", SUCCESSFUL): 2, ("b", READY): 2}

    def test_a_count_can_end_early(self) -> None:
        self.queue.enqueue(
            [self.job(queue_name=name, tags=tags) for name in "aab" for tags in ((), ("t",), ("u", "t"))]
        )
        self.queue.finish([done(job) for job in self.fetch(queues=("a",), threads=3)])
        exact = {("a", READY): 3, ("a", SUCCESSFUL): 3, ("b", READY): 3}
        assert self.queue.counts() == self.queue.counts(limit=3) == self.queue.counts(limit=100) == exact
        assert self.queue.counts(limit=2) == dict.fromkeys(exact, 2)

    def test_the_newest_of_several_queues_are_listed_first(self) -> None:
        jobs = [self.job(queue_name=name) for name in "abcab"]
        self.queue.enqueue(jobs)
        newest = sorted((job.id for job in jobs), reverse=True)
        assert [job.id for job in self.queue.list(status=READY, limit=3)] == newest[:3]
        self.queue.finish([done(job) for job in self.fetch()])
        assert [job.id for job in self.queue.list(status=SUCCESSFUL, limit=3)] == newest[:3]

    def test_the_oldest_due(self) -> None:
        deferred = self.job(queue_name="a", run_after=in_seconds(3600), priority=5)
        oldest = self.job(queue_name="b", age=60, priority=-5, is_async=True)
        due = self.job(queue_name="c", age=90, run_after=in_seconds(-20))
        self.queue.enqueue([deferred, oldest, due, self.job(queue_name="c", priority=9)])
        assert self.queue.oldest_due() == oldest.due_at
        assert self.queue.oldest_due(queues=("a",)) is None
        assert self.queue.oldest_due(queues=("a", "c")) == due.due_at
        assert self.queue.oldest_due(queues=()) is None

    def test_what_is_held_or_ended_is_not_due(self) -> None:
        self.enqueue(age=60)
        self.queue.finish([done(job) for job in self.fetch()])
        self.enqueue(age=30)
        self.fetch()
        assert self.queue.oldest_due() is None

    def test_only_what_ended_long_ago_is_pruned(self) -> None:
        self.queue.enqueue([self.job() for _ in range(4)])
        old, young, broken, again = self.fetch()
        long_ago = in_seconds(-3600)
        outcomes = [done(old, at=long_ago), done(young), failed(broken, at=long_ago), retry(again, at=long_ago)]
        self.queue.finish(outcomes)
        self.enqueue(age=7200)
        assert self.queue.prune(older_than=1800) == 2
        assert (self.queue.get(old.id), self.queue.get(broken.id)) == (None, None)
        assert self.queue.counts() == {("default", SUCCESSFUL): 1, ("default", READY): 2}

    def test_no_more_than_asked_for_is_pruned(self) -> None:
        self.queue.enqueue([self.job() for _ in range(10)])
        self.queue.finish([done(job, at=in_seconds(-60)) for job in self.fetch()])
        assert [self.queue.prune(older_than=1, limit=4) for _ in range(4)] == [4, 4, 2, 0]

    def test_clear_leaves_nothing(self) -> None:
        self.queue.finish([done(self.held(key="k"))])
        self.held()
        self.enqueue()
        self.queue.clear()
        assert self.queue.counts() == {}
        assert self.fetch() == []
        self.enqueue(key="k")

    def test_pages_of_jobs(self) -> None:
        jobs = [self.job(queue_name=name) for name in "abababab"]
        self.queue.enqueue(jobs)
        self.queue.finish([failed(job) for job in self.fetch(threads=6)])
        self.fetch(threads=1)
        for status in (None, READY, FAILED, RUNNING, SUCCESSFUL):
            for queue_name in (None, "a", "b", "c"):
                matching = self.queue.list(status=status, queue_name=queue_name)
                assert matching == [
                    job for job in self.queue.list(status=status) if queue_name in (None, job.queue_name)
                ]
                assert self.paged(status, queue_name) == matching
                calls = self.queue.list_calls(status=status, queue_name=queue_name)
                assert [*map(call_of, calls)] == [*map(call_of, matching)]
        last = jobs[3].id
        for limit in (0, 2):
            calls = self.queue.list_calls(before=last, limit=limit)
            assert [*map(call_of, calls)] == [*map(call_of, self.queue.list(before=last, limit=limit))]

    def paged(self, status: Any, queue_name: str | None) -> list[Job]:
        """Return the jobs of ``list``, read two at a time."""
        found: list[Job] = []
        while True:
            before = found[-1].id if found else None
            page = self.queue.list(status=status, queue_name=queue_name, before=before, limit=2)
            found += page
            if len(page) < 2:
                return found


class SeriesContract(ContractCase):
    """``series`` returns the jobs of one series, the newest first, with any status."""

    def members(self, name: str, limit: int = 100) -> list[str]:
        """Return the part of each key after the name of the series."""
        return [str(job.key).removeprefix(f"{name}@") for job in self.queue.series(name, limit)]

    def test_nothing_is_of_a_series_that_is_unknown(self) -> None:
        self.queue.enqueue([self.job(), self.job(key="nightly"), self.job(key="nightly@1")])
        assert self.queue.series("night") == []
        assert self.queue.series("") == []

    def test_the_newest_of_a_series_come_first(self) -> None:
        jobs = [self.job(id=id_at(number), key=f"nightly@{number}") for number in range(5)]
        self.queue.enqueue([*jobs[2:], self.job(key="hourly@1"), *jobs[:2]])
        newest = [JobSummary.of(job) for job in reversed(jobs)]
        assert self.queue.series("nightly") == newest
        assert self.queue.series("nightly", 2) == newest[:2]
        assert self.queue.series("nightly", 0) == []

    def test_a_name_may_hold_any_character(self) -> None:
        self.queue.enqueue([self.job(key=f"{name}@{number}") for number, name in enumerate(NAMES)])
        assert [self.members(name) for name in NAMES] == [[str(number)] for number in range(len(NAMES))]

    def test_several_series_are_read_at_once_as_each_by_itself(self) -> None:
        jobs = [self.job(key=f"{name}@{number}") for number in range(3) for name in NAMES]
        self.queue.enqueue(jobs)
        wanted = [*NAMES, "unknown", *(f"other {number}" for number in range(300)), NAMES[0]]
        found = self.queue.each_series(wanted, 2)
        assert found == {name: self.queue.series(name, 2) for name in wanted}
        assert len(found[NAMES[0]]) == 2
        assert self.queue.each_series([]) == {}

    def test_a_series_has_what_waits_runs_and_has_ended(self) -> None:
        self.queue.finish([done(first := self.held(key="s@1", id=id_at(1)))])
        self.queue.finish([failed(second := self.held(key="s@2", id=id_at(2)))])
        again = self.held(key="s@3", id=id_at(3))
        self.queue.finish([retry(again, run_after=in_seconds(3600))])
        running = self.held(key="s@4", id=id_at(4))
        deferred = self.enqueue(key="s@5", id=id_at(5), run_after=in_seconds(3600))
        jobs = [deferred, running, again, second, first]
        found = self.queue.series("s")
        assert found == [JobSummary.of(self.stored(job)) for job in jobs]
        assert [job.status for job in found] == [READY, RUNNING, READY, FAILED, SUCCESSFUL]
        assert [job.error for job in found] == ["", "", "builtins.ValueError", "builtins.ValueError", ""]

    def test_a_series_tells_the_last_of_several_errors(self) -> None:
        story = '"exception_class_path": "fake", "traceback": "fake"'
        errors = [TaskError(exception_class_path=f"shop.E{number}", traceback=story) for number in range(3)]
        self.enqueue(key="s@1", queue_name='ä€𝄞/\\"')
        for error in errors:
            [held] = self.fetch()
            self.queue.finish([Outcome(job=held, status=READY, error=error)])
        assert [job.error for job in self.queue.series("s")] == ["shop.E2"]

    def test_a_series_tells_when_its_jobs_were_due_and_have_ended(self) -> None:
        past = in_seconds(-60)
        self.queue.finish([done(held := self.held(key="s@1", queue_name='ä€𝄞/\\"', run_after=past))])
        self.queue.finish([failed(second := self.held(key="s@2", run_after=past))])
        ended = {job.id: job for job in self.queue.series("s")}
        for job in (held, second):
            assert ended[job.id].due_at == past
            assert ended[job.id].finished_at == self.stored(job).finished_at

    def test_a_job_that_was_refused_is_of_no_series(self) -> None:
        self.enqueue(key="s@1")
        assert self.queue.enqueue([self.job(key="s@1"), self.job(key="t@1"), self.job(key="t@1")]) != []
        assert self.members("s") == self.members("t") == ["1"]

    def test_what_was_pruned_is_gone_from_its_series(self) -> None:
        self.queue.enqueue([self.job(key=f"s@{number}", id=id_at(number)) for number in range(5)])
        old, *young = sorted(self.fetch(), key=lambda job: job.id)
        self.queue.finish([done(old, at=in_seconds(-86_400)), *map(done, young[:2])])
        assert self.queue.prune(older_than=43_200) == 1
        assert self.members("s") == ["4", "3", "2", "1"]

    def test_a_series_is_found_among_many_jobs(self) -> None:
        self.queue.enqueue([self.job(key="s@1", id=id_at(1)), self.job(key="s@2", id=id_at(2))])
        self.queue.enqueue([self.job(key=f"other {number % 7}@{number}") for number in range(2_000)])
        assert self.members("s") == ["2", "1"]
        assert len(self.queue.series("other 3", 5)) == 5

    def test_clear_leaves_no_series(self) -> None:
        self.enqueue(key="s@1")
        self.queue.clear()
        assert self.queue.series("s") == []

    def test_threads_add_to_a_series(self) -> None:
        def enqueue(number: int) -> list[Job]:
            return self.queue.enqueue([self.job(key=f"s@{number} {count}") for count in range(10)])

        stored = {job.id for jobs in self.side_by_side(enqueue) for job in jobs}
        assert {job.id for job in self.queue.series("s", 1000)} == stored


def id_at(number: int) -> str:
    """Return an id that sorts by ``number``."""
    return f"{number:08x}{new_id()[8:]}"
