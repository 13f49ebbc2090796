"""The contract of retention: each job is kept for as long as its task declares for the way in which it ended."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import SkipTest

from django.conf import settings
from django.test import override_settings

from ....core.job import FAILED, MAX_LOST, READY, RETENTION, Job, Outcome, error_of, new_id, utcnow
from ....core.validation import FOREVER_WORD
from ....exceptions import JobCancelled
from ....queues.base import Change
from ....queues.records.batches import Batches, new_record
from ..case import ContractCase, done, failed, in_seconds, retry

HOUR = 3600.0
#: The number of steps in a random history.
STEPS = int(os.environ.get("LOCO_CHAOS") or 0) * 1_000 or 150
#: A history begins anew after so many steps: before the queue has many jobs, and before their ages come near a border.
FRESH = 250
#: ``RESULT_TTL`` in these tests, and what tasks say. Jobs end a whole number of hours ago, so no test is at a border.
TTL = 10.5 * HOUR
RETENTIONS: tuple[Mapping[str, float | str] | None, ...] = (
    None,
    {"succeeded": 0.0, "failed": 5.5 * HOUR, "cancelled": FOREVER_WORD},
    {"failed": 15.5 * HOUR},
    {"succeeded": FOREVER_WORD},
)


def cancelled(job: Job, **given: Any) -> Outcome:
    """Return the outcome of a job that somebody has cancelled."""
    return Outcome(job=job, status=FAILED, error=error_of(JobCancelled, "by hand"), **given)


class RetentionContract(ContractCase):
    """A queue that prunes every job by its age, because it does not know ``kept_until``, fails here."""

    def kept(self, retention: Mapping[str, Any], **given: Any) -> Job:
        """Store and fetch a job with a retention; return it."""
        return self.held(options={RETENTION: retention}, **given)

    def ids(self) -> set[str]:
        """Return the ids of all jobs."""
        return {job.id for job in self.queue.list(limit=10_000)}

    def test_each_end_has_its_time(self) -> None:
        endings = (done, failed, cancelled)
        for name, wanted in (("succeeded", 0), ("failed", 1), ("cancelled", 2)):
            self.queue.clear()
            jobs = [self.kept({name: 2 * HOUR}) for _ in endings]
            ends = zip(endings, jobs, strict=True)
            self.queue.finish([ending(job, at=in_seconds(-3 * HOUR)) for ending, job in ends])
            assert self.queue.prune(4 * HOUR) == 1
            assert self.ids() == {job.id for place, job in enumerate(jobs) if place != wanted}
            assert self.queue.prune(2 * HOUR) == 2  # jobs whose task gives no time for this end

    def test_some_are_kept_longer_than_others(self) -> None:
        longer = self.kept({"succeeded": 5 * HOUR})
        self.queue.finish([done(longer, at=in_seconds(-3 * HOUR))])
        self.queue.finish([done(self.held(), at=in_seconds(-3 * HOUR))])
        assert self.queue.prune(60) == 1
        assert self.ids() == {longer.id}

    def test_some_are_kept_for_ever(self) -> None:
        job = self.kept({"succeeded": FOREVER_WORD})
        self.queue.finish([done(job, at=in_seconds(-1_000_000 * HOUR))])
        assert self.queue.prune(0) == self.queue.prune(-HOUR) == 0
        assert self.ids() == {job.id}

    def test_every_job_is_kept_for_a_minute(self) -> None:
        young, old = self.kept({"succeeded": 0}), self.kept({"succeeded": 0})
        self.queue.finish([done(young, at=in_seconds(-30)), done(old, at=in_seconds(-90))])
        assert self.queue.prune(HOUR) == 1
        assert self.ids() == {young.id}

    def test_one_with_a_once_key_is_kept_for_an_hour(self) -> None:
        job = self.kept({"succeeded": 0}, key="nightly@1")
        self.queue.finish([done(job, at=in_seconds(-HOUR / 2))])
        assert self.queue.prune(0) == 0
        assert [summary.id for summary in self.queue.series("nightly")] == [job.id]

    def test_one_with_a_once_key_is_kept_for_an_hour_whatever_the_ttl(self) -> None:
        with override_settings(LOCO={**getattr(settings, "LOCO", {}), "RESULT_TTL": 5}):
            young, old, other = self.held(key="nightly@1"), self.held(key="nightly@2"), self.held()
            self.queue.finish([done(young, at=in_seconds(-HOUR / 2)), done(other, at=in_seconds(-HOUR / 2))])
            self.queue.finish([failed(old, at=in_seconds(-2 * HOUR))])
            assert self.queue.prune(5) == 2
            assert [summary.id for summary in self.queue.series("nightly")] == [young.id]

    def test_one_that_holds_its_unique_key_is_kept(self) -> None:
        until = in_seconds(HOUR).isoformat(" ", "microseconds")
        job = self.kept({"succeeded": 0}, unique_key="k" * 64, unique_until=until)
        self.queue.finish([done(job, at=in_seconds(-HOUR))])
        assert self.queue.prune(0) == 0
        assert self.queue.holders(["k" * 64]).keys() == {"k" * 64}

    def test_a_job_that_waits_again_is_not_pruned(self) -> None:
        job = self.kept({"failed": 0.0, "succeeded": FOREVER_WORD})
        self.queue.finish([failed(job, at=in_seconds(-HOUR))])
        ended = self.stored(job)
        again = replace(ended, status=READY, run_after=in_seconds(-1), finished_at=None)
        assert self.queue.change([Change(before=ended, after=again)]) == set()
        assert self.queue.prune(0) == 0
        [held] = self.fetch()
        self.queue.finish([done(held, at=in_seconds(-HOUR))])
        assert self.queue.prune(0) == 0
        assert self.stored(job).options == job.options

    def test_a_retry_ends_nothing(self) -> None:
        job = self.kept({"failed": 0.0})
        self.queue.finish([retry(job, at=in_seconds(-HOUR))])
        assert self.queue.prune(0) == 0
        assert self.stored(job).status == READY

    def test_a_waiting_job_that_is_cancelled(self) -> None:
        job = self.enqueue(options={RETENTION: {"cancelled": 2 * HOUR, "failed": FOREVER_WORD}})
        after = cancelled(job, at=in_seconds(-HOUR)).applied()
        self.queue.change([Change(before=job, after=after)])
        assert self.queue.prune(60) == 0
        at = timedelta(seconds=2 * HOUR)
        self.queue.change([Change(before=after, after=replace(after, finished_at=after.finished_at and utcnow() - at))])
        assert self.queue.prune(10 * HOUR) == 1

    def test_a_job_that_killed_its_workers_has_failed(self) -> None:
        job = self.enqueue(lost=MAX_LOST - 1, options={RETENTION: {"failed": FOREVER_WORD, "succeeded": 0.0}})
        self.fetch(lease=0)
        assert [freed.status for freed in self.queue.rescue()] == [FAILED]
        assert self.queue.prune(-60) == 0
        assert self.ids() == {job.id}

    def test_jobs_that_are_restored(self) -> None:
        ended = {"status": FAILED, "finished_at": in_seconds(-3 * HOUR), "worker_ids": ("w1",)}
        jobs = [self.job(options={RETENTION: {"failed": hours * HOUR}}, **ended) for hours in (2, 4)]
        jobs += [self.job(**ended), self.job(options={RETENTION: {"failed": 0.0}})]
        logs = {jobs[1].id: '{"lines":[]}'}
        assert self.queue.restore(jobs, logs) == {job.id for job in jobs}
        assert [self.stored(job) for job in jobs] == jobs
        assert self.queue.prune(60) == 2
        assert self.ids() == {jobs[1].id, jobs[3].id}
        assert self.queue.logs([job.id for job in jobs]) == logs

    def test_they_are_listed_and_counted_like_others(self) -> None:
        jobs = [self.kept({"succeeded": HOUR, "failed": HOUR}, queue_name=name, key=f"s@{name}") for name in "abc"]
        self.queue.finish([done(jobs[0]), failed(jobs[1]), done(jobs[2])])
        ended = [self.stored(job) for job in jobs]
        assert self.queue.list(status=FAILED) == [ended[1]]
        assert {job.id for job in self.queue.list(status="SUCCESSFUL")} == {jobs[0].id, jobs[2].id}
        assert self.queue.counts() == {("a", "SUCCESSFUL"): 1, ("b", "FAILED"): 1, ("c", "SUCCESSFUL"): 1}
        assert {(each.id, each.finished_at) for each in self.queue.series("s")} == {
            (job.id, job.finished_at) for job in ended
        }

    def test_no_more_than_asked_for_is_pruned_of_both_kinds(self) -> None:
        self.queue.enqueue(
            [self.job(options={RETENTION: {"succeeded": 0.0}} if number % 2 else {}) for number in range(10)]
        )
        self.queue.finish([done(job, at=in_seconds(-HOUR)) for job in self.fetch()])
        assert [self.queue.prune(older_than=1, limit=4) for _ in range(4)] == [4, 4, 2, 0]

    def test_one_that_cannot_be_understood_is_pruned_by_its_age(self) -> None:
        odd_ones: tuple[Any, ...] = (
            7,
            "x",
            [],
            {"succeeded": "1h"},
            {"succeeded": -1},
            {"succeeded": True},
            {"later": 0},
        )
        for odd in odd_ones:
            self.queue.finish([done(self.held(options={RETENTION: odd}), at=in_seconds(-HOUR))])
        assert self.queue.prune(2 * HOUR) == 0
        assert self.queue.prune(HOUR / 2) == 7

    def test_a_batch_knows_how_members_ended_that_are_kept_for_no_time(self) -> None:
        if type(self.queue).open_batch is Batches.open_batch:
            raise SkipTest(f"{type(self.queue).__name__} has no batches")
        record = new_record(new_id(), self.queue.alias, "import", "{}", "{}")
        self.queue.open_batch(record)
        members = [self.job(batch=record.id, options={RETENTION: {"succeeded": 0.0}}) for _ in range(2)]
        self.queue.enqueue(members)
        self.queue.seal_batch(record.id)
        first, second = self.fetch()
        self.queue.finish([done(first, at=in_seconds(-HOUR))])  # as if the process died before it settled the batch
        self.queue.prune(2 * HOUR)
        self.queue.finish([done(second, at=in_seconds(-HOUR))])
        [settled] = self.queue.settle_batches()
        assert tuple(settled.counts) == (2, 2, 0, 0)

    def test_random_histories_agree_with_a_model(self) -> None:
        seed = os.environ.get("LOCO_CHAOS_SEED") or str(random.getrandbits(32))
        chance = random.Random(seed)  # noqa: S311 - a test
        history = RetentionHistory(self, chance)
        for number in range(STEPS):
            if number % FRESH == 0:
                self.queue.clear()
                history = RetentionHistory(self, chance)
            step = history.step()
            assert self.ids() == history.jobs.keys(), f"LOCO_CHAOS_SEED={seed}, step {number}: {step}"


class RetentionHistory:
    """Random operations on a queue, and the jobs that should exist after them."""

    def __init__(self, case: RetentionContract, random: random.Random) -> None:
        self._case, self._random = case, random
        self._queue = case.queue
        self.jobs: dict[str, tuple[Mapping[str, float | str] | None, str, float]] = {}
        """The retention of each job; how it ended, if it did; and how many seconds ago."""

        self._steps: Mapping[str, Callable[[], None]] = {
            "enqueue": self._enqueue,
            "finish": self._finish,
            "cancel": self._cancel,
            "again": self._again,
            "restore": self._restore,
            "prune": self._prune,
        }

    def step(self) -> str:
        """Do a random operation. Return its name."""
        [name] = self._random.choices([*self._steps], [6, 5, 2, 2, 1, 2])
        self._steps[name]()
        return name

    def _enqueue(self) -> None:
        for retention in self._random.choices(RETENTIONS, k=self._random.randint(1, 4)):
            job = self._case.enqueue(options={} if retention is None else {RETENTION: retention})
            self.jobs[job.id] = (retention, "", 0.0)

    def _finish(self) -> None:
        endings = {"succeeded": done, "failed": failed, "cancelled": cancelled, "": retry}
        for job in self._case.fetch(threads=self._random.randint(1, 4), lease=60):
            [end] = self._random.choices([*endings], [3, 3, 1, 1])
            self._queue.finish([endings[end](job, at=in_seconds(-self._note(job, end)))])

    def _cancel(self) -> None:
        for job in self._some(READY):
            after = cancelled(job, at=in_seconds(-self._note(job, "cancelled"))).applied()
            assert self._queue.change([Change(before=job, after=after)]) == set()

    def _again(self) -> None:
        for job in self._some(FAILED):
            self._note(job, "")
            after = replace(job, status=READY, finished_at=None)
            assert self._queue.change([Change(before=job, after=after)]) == set()

    def _restore(self) -> None:
        """Delete jobs, and restore them as they were."""
        jobs = self._some(self._random.choice([READY, FAILED]))
        assert self._queue.change([Change(before=job, after=None) for job in jobs]) == set()
        assert self._queue.restore(jobs) == {job.id for job in jobs}

    def _prune(self) -> None:
        assert self._queue.prune(TTL, 10_000) == sum(map(self._is_old, self.jobs))
        self.jobs = {job_id: known for job_id, known in self.jobs.items() if not self._is_old(job_id)}

    def _some(self, status: Any) -> list[Job]:
        jobs = self._queue.list(status=status, limit=10_000)
        return self._random.sample(jobs, min(len(jobs), self._random.randint(1, 3)))

    def _note(self, job: Job, end: str) -> float:
        """Note that a job ended some hours ago; return the seconds."""
        seconds = HOUR * self._random.randint(1, 20)
        self.jobs[job.id] = (self.jobs[job.id][0], end, seconds)
        return seconds

    def _is_old(self, job_id: str) -> bool:
        retention, end, seconds = self.jobs[job_id]
        kept = TTL if retention is None or end not in retention else retention[end]
        return bool(end) and kept != FOREVER_WORD and seconds > float(kept)
