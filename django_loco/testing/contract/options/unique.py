"""The contract of unique keys: at most one of the jobs with a key holds it, and no key is held without a job."""

from __future__ import annotations

from dataclasses import replace

from ....core.job import FAILED, READY, RUNNING, Job, Outcome
from ....queues.base import Change
from ..case import done, failed, in_seconds, retry
from .unique_case import KEYS, UniqueCase, cancelled, ready_again, until

#: The number of jobs that threads enqueue at once.
MANY = 100


class UniqueContract(UniqueCase):
    """A queue that stores every job, because it does not know unique keys, fails here."""

    def test_of_two_jobs_one_is_stored(self) -> None:
        first = self.unique()
        assert self.queue.enqueue([first]) == [first]
        assert self.queue.enqueue([self.unique()]) == []
        assert self.queue.holders([*KEYS]) == {KEYS[0]: first}
        assert [job.id for job in self.queue.list()] == [first.id]

    def test_other_keys_and_jobs_without_keys_are_stored(self) -> None:
        jobs = [self.unique(), self.job(), self.unique(KEYS[1]), self.job(key="once"), self.unique(KEYS[2], key="tick")]
        assert self.queue.enqueue(jobs) == jobs
        assert {key: job.id for key, job in self.queue.holders(KEYS).items()} == dict(
            zip(KEYS, (jobs[0].id, jobs[2].id, jobs[4].id), strict=True)
        )

    def test_duplicates_in_one_call_are_refused(self) -> None:
        jobs = [self.unique(KEYS[number % 3]) for number in range(30)]
        assert self.queue.enqueue([*jobs, plain := self.job()]) == [*jobs[:3], plain]
        assert self.queue.enqueue([self.unique(key) for key in KEYS]) == []

    def test_nobody_holds_no_keys(self) -> None:
        assert self.queue.holders([]) == {}
        assert self.queue.holders(KEYS) == {}

    def test_of_threads_at_once_one_stores_it(self) -> None:
        stored = self.side_by_side(
            lambda _: [job for _ in range(MANY // 10) for job in self.queue.enqueue([self.unique()])], threads=10
        )
        [job] = [job for jobs in stored for job in jobs]
        assert self.queue.holders(KEYS) == {KEYS[0]: job}

    def test_threads_with_the_same_keys_in_other_orders_do_not_block_each_other(self) -> None:
        keys = [f"{number:064x}" for number in range(20)]

        def enqueue(number: int) -> list[Job]:
            return self.queue.enqueue([self.unique(key) for key in (keys if number % 2 else keys[::-1])])

        stored = [job for jobs in self.side_by_side(enqueue) for job in jobs]
        assert sorted(str(job.unique_key) for job in stored) == keys
        assert {job.id for job in self.queue.holders(keys).values()} == {job.id for job in stored}

    def test_the_end_of_a_job_frees_its_key(self) -> None:
        for end in (done, failed):
            held = self.held(unique_key=KEYS[0], unique_until="finished")
            assert not self.is_free()
            self.queue.finish([end(held)])
            assert self.is_free()

    def test_a_job_that_waits_for_another_attempt_keeps_its_key(self) -> None:
        held = self.held(unique_key=KEYS[0], unique_until="finished")
        self.queue.finish([retry(held, run_after=in_seconds(60))])
        assert not self.is_free()
        assert self.queue.holders(KEYS)[KEYS[0]] == self.stored(held)

    def test_a_job_whose_worker_has_died_keeps_its_key(self) -> None:
        job = self.enqueue(unique_key=KEYS[0], unique_until="finished")
        for _ in range(2):
            self.fetch(lease=0)
            [freed] = self.queue.rescue()
            assert (freed.id, freed.status) == (job.id, READY)
            assert not self.is_free()
        self.fetch(lease=0, suspects=None)
        [lost] = self.queue.rescue()
        assert (lost.id, lost.status) == (job.id, FAILED)
        assert self.is_free()

    def test_a_key_until_the_start_is_free_from_then_on(self) -> None:
        first = self.enqueue(unique_key=KEYS[0], unique_until="started")
        assert not self.is_free()
        [held] = self.fetch()
        assert self.stored(first).status == RUNNING
        [second] = self.queue.enqueue([self.unique(unique_until="started")])
        assert self.queue.finish([retry(held)]) == set()  # it does not take its key back
        assert self.queue.holders(KEYS) == {KEYS[0]: second}
        again = [job for job in self.fetch() if job.id == first.id]
        assert self.queue.finish([done(job) for job in again]) == set()
        assert self.is_free()

    def test_a_key_until_the_start_stays_free_if_the_job_is_handed_back_before_it_began(self) -> None:
        held = self.held(unique_key=KEYS[0], unique_until="started")
        [second] = self.queue.enqueue([self.unique(unique_until="started")])
        assert self.queue.finish([Outcome.released(held).not_begun()]) == set()
        assert self.queue.holders(KEYS) == {KEYS[0]: second}

    def test_a_key_until_a_time_outlives_the_end_of_its_job(self) -> None:
        held = self.held(unique_key=KEYS[0], unique_until=until(3600))
        self.queue.finish([done(held)])
        assert not self.is_free()
        assert self.queue.holders(KEYS)[KEYS[0]] == self.stored(held)

    def test_a_key_whose_time_is_over_is_free(self) -> None:
        first = self.enqueue(unique_key=KEYS[0], unique_until=until(0))
        [second] = self.queue.enqueue([self.unique(unique_until=until(3600))])
        assert self.queue.enqueue([self.unique()]) == []
        assert self.queue.holders(KEYS) == {KEYS[0]: second}
        assert {job.id for job in self.fetch()} == {first.id, second.id}

    def test_what_is_cancelled_or_deleted_frees_its_key(self) -> None:
        for ends in ("finished", "started"):
            job = self.enqueue(unique_key=KEYS[0], unique_until=ends)
            assert self.queue.change([cancelled(job)]) == set()
            assert self.is_free()
        for ends in ("finished", "started", until(3600)):
            job = self.enqueue(unique_key=KEYS[0], unique_until=ends)
            assert self.queue.change([Change(before=job, after=None)]) == set()
            assert self.is_free()

    def test_what_is_pruned_or_cleared_frees_its_key(self) -> None:
        self.queue.finish([done(self.held(unique_key=KEYS[0], unique_until=until(3600)))])
        assert self.queue.prune(-1) == 1
        assert self.is_free()
        self.enqueue(unique_key=KEYS[0], unique_until="finished")
        self.queue.clear()
        assert self.is_free()

    def test_a_change_leaves_the_key_to_its_job(self) -> None:
        job = self.enqueue(unique_key=KEYS[0], unique_until="finished")
        put_off = replace(job, run_after=in_seconds(60), arguments="[[2],{}]", priority=5)
        assert self.queue.change([Change(before=job, after=put_off)]) == set()
        assert self.queue.holders(KEYS) == {KEYS[0]: put_off}

    def test_a_job_that_is_ready_again_takes_its_key(self) -> None:
        held = self.held(unique_key=KEYS[0], unique_until="finished")
        self.queue.finish([failed(held)])
        assert self.queue.change([ready_again(self.stored(held))]) == set()
        assert self.queue.holders(KEYS) == {KEYS[0]: self.stored(held)}
        assert not self.is_free()

    def test_a_job_stays_as_it_is_while_another_holds_its_key(self) -> None:
        held = self.held(unique_key=KEYS[0], unique_until="finished")
        self.queue.finish([failed(held)])
        other = self.held()
        self.queue.finish([failed(other)])
        newer = self.enqueue(unique_key=KEYS[0], unique_until="finished")
        before = self.stored(held)
        assert self.queue.change([ready_again(before), ready_again(self.stored(other))]) == {held.id}
        assert self.stored(held) == before
        assert self.stored(other).status == READY
        assert self.queue.holders(KEYS) == {KEYS[0]: newer}

    def test_a_job_that_is_ready_again_takes_a_key_whose_time_is_over(self) -> None:
        held = self.held(unique_key=KEYS[0], unique_until="finished")
        self.queue.finish([failed(held)])
        [over] = self.queue.enqueue([self.unique(unique_until=until(0))])
        assert self.queue.change([ready_again(self.stored(held))]) == set()
        assert self.queue.holders(KEYS) == {KEYS[0]: self.stored(held)}
        assert self.stored(over).status == READY
        assert not self.is_free()

    def test_a_job_whose_time_is_over_may_hold_its_key_anew(self) -> None:
        job = self.enqueue(unique_key=KEYS[0], unique_until=until(0))
        again = replace(job, unique_until="finished")
        assert self.queue.change([Change(before=job, after=again)]) == set()
        assert self.queue.holders(KEYS) == {KEYS[0]: again}

    def test_a_job_may_change_its_key_for_one_that_is_free(self) -> None:
        job = self.enqueue(unique_key=KEYS[0], unique_until="finished")
        other = self.enqueue(unique_key=KEYS[1], unique_until="finished")
        for key in (KEYS[1], KEYS[2]):
            refused = self.queue.change([Change(before=job, after=replace(job, unique_key=key))])
            assert refused == ({job.id} if key == KEYS[1] else set())
        holders = {key: holder.id for key, holder in self.queue.holders(KEYS).items()}
        assert holders == {KEYS[1]: other.id, KEYS[2]: job.id}
        self.enqueue(unique_key=KEYS[0], unique_until="finished")
        self.queue.finish([done(held) for held in self.fetch()])
        assert self.queue.holders(KEYS) == {}

    def test_of_several_that_are_ready_again_the_first_takes_the_key(self) -> None:
        held = []
        for _ in range(3):
            held.append(self.held(unique_key=KEYS[0], unique_until="finished"))
            self.queue.finish([failed(held[-1])])
        refused = self.queue.change([ready_again(self.stored(job)) for job in held])
        assert refused == {job.id for job in held[1:]}
        assert self.queue.holders(KEYS)[KEYS[0]].id == held[0].id
        assert [self.stored(job).status for job in held].count(FAILED) == 2

    def test_of_threads_that_make_them_ready_again_one_takes_the_key(self) -> None:
        held = []
        for _ in range(8):
            held.append(self.held(unique_key=KEYS[0], unique_until="finished"))
            self.queue.finish([failed(held[-1])])
        before = [self.stored(job) for job in held]
        refused = self.side_by_side(lambda number: self.queue.change([ready_again(before[number])]))
        assert sorted(map(len, refused)) == [0] + [1] * 7
        assert [self.stored(job).status for job in held].count(READY) == 1

    def test_a_restored_job_takes_its_key_unless_another_holds_it(self) -> None:
        job, same = self.unique(), self.unique()
        over = replace(failed(self.unique()).applied(), started_at=in_seconds(-1))
        assert self.queue.restore([over, job, same]) in ({over.id, job.id}, {over.id, same.id})
        assert not self.is_free()
        assert self.queue.restore([self.unique()]) == set()
