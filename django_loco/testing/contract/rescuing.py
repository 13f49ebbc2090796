"""The contract of ``rescue``, and of suspects: jobs that run alone because several workers have died with them."""

from __future__ import annotations

import time
from dataclasses import replace

from ...core.job import FAILED, MAX_LOST, READY, RUNNING, SUSPECT, Job, Outcome
from ...exceptions import LostJob
from ...queues import Claim
from .case import ContractCase, done, in_seconds, retry


class RescueContract(ContractCase):
    """Jobs of dead workers are rescued."""

    def test_a_valid_lease_is_left_alone(self) -> None:
        held = self.held()
        assert self.queue.rescue() == []
        assert self.stored(held) == held

    def test_a_job_whose_lease_ran_out_is_ready_again(self) -> None:
        job = self.enqueue(age=5)
        [held] = self.fetch(lease=0)
        [freed] = self.queue.rescue()
        assert freed == self.stored(job)
        assert freed == replace(job, lost=1, started_at=held.started_at, last_attempted_at=held.last_attempted_at)
        assert (freed.status, freed.attempt) == (READY, 1)
        assert self.queue.rescue() == []
        assert [again.id for again in self.fetch()] == [job.id]

    def test_a_job_whose_lease_ran_out_can_be_seen_without_being_freed(self) -> None:
        examiner = self.queue.examiner(self.queue)
        assert examiner.expired() == []
        self.enqueue()
        [held] = self.fetch(lease=0)
        for _ in range(2):
            assert [job.id for job in examiner.expired()] == [held.id]
        assert self.stored(held).status == RUNNING
        self.queue.rescue()
        assert examiner.expired() == []

    def test_the_clock_that_judges_leases_runs_like_the_monotonic_one(self) -> None:
        before, began = self.queue.clock(), time.monotonic()
        self.held()
        passed, measured = self.queue.clock() - before, time.monotonic() - began
        assert abs(passed - measured) < 1

    def test_a_rescued_job_keeps_its_place(self) -> None:
        first = self.enqueue(age=60)
        self.fetch(lease=0)
        second = self.enqueue(age=30)
        self.queue.rescue()
        assert [job.id for job in self.fetch()] == [first.id, second.id]

    def test_a_job_that_kills_its_workers_fails_at_last(self) -> None:
        job = self.enqueue()
        for number in range(MAX_LOST):
            assert [held.lost for held in self.fetch(lease=0, worker_id=f"worker-{number}")] == [number]
            assert self.queue.rescue() == [self.stored(job)]
        freed = self.stored(job)
        assert (freed.status, freed.lost) == (FAILED, MAX_LOST)
        assert freed.finished_at is not None
        assert [error.exception_class_path.rpartition(".")[2] for error in freed.errors] == [LostJob.__name__]
        assert self.fetch() == []
        assert self.queue.rescue() == []

    def test_attempts_between_do_not_forget_the_dead(self) -> None:
        self.enqueue()
        self.fetch(lease=0)
        self.queue.rescue()
        [held] = self.fetch()
        self.queue.finish([retry(held, run_after=in_seconds(-1))])
        assert [again.lost for again in self.fetch()] == [1]

    def test_the_presumed_dead_are_refused(self) -> None:
        self.enqueue()
        [dead] = self.fetch(lease=0)
        self.queue.rescue()
        assert self.queue.finish([done(dead)]) == {dead.id}
        assert self.queue.renew([dead], 60) == {dead.id}
        [held] = self.fetch(worker_id="worker-2")
        assert self.queue.finish([done(dead)]) == {dead.id}
        assert self.stored(held) == held

    def test_the_known_dead_need_not_be_waited_for(self) -> None:
        held = self.held()
        [found] = self.queue.list(status=RUNNING)
        assert self.queue.finish([Outcome.of_dead_worker(found)]) == set()
        assert (self.stored(held).status, self.stored(held).lost) == (READY, 1)
        assert self.queue.finish([done(held)]) == {held.id}
        assert [again.id for again in self.fetch()] == [held.id]

    def test_no_more_than_asked_for(self) -> None:
        self.queue.enqueue([self.job() for _ in range(10)])
        self.fetch(lease=0)
        assert len(self.queue.rescue(limit=4)) == 4
        assert len(self.queue.rescue(limit=4)) == 4
        assert len(self.queue.rescue()) == 2

    def test_rescuers_at_once_free_each_job_once(self) -> None:
        self.queue.enqueue([self.job() for _ in range(300)])
        lost = self.fetch(lease=0)
        freed = [job.id for jobs in self.side_by_side(lambda _: self.queue.rescue(limit=60)) for job in jobs]
        freed += [job.id for job in self.queue.rescue(limit=300)]
        assert sorted(freed) == sorted(job.id for job in lost)
        assert {job.lost for job in self.fetch()} == {1}

    def test_rescuers_spare_what_is_renewed_at_once(self) -> None:
        self.queue.enqueue([self.job() for _ in range(200)])
        held = self.fetch(lease=0)

        def act(number: int) -> set[str]:
            if number % 2:
                return {job.id for job in self.queue.rescue(limit=50)}
            return {job.id for job in held} - self.queue.renew(held, 60)

        results = self.side_by_side(act, threads=4)
        freed = results[1] | results[3]
        assert len(results[1]) + len(results[3]) == len(freed)
        for job in held:
            assert self.stored(job).lost == (job.id in freed)


class SuspectContract(ContractCase):
    """Suspects run alone. A queue that does not distinguish them (``suspects`` always returns 0) is not tested."""

    def suspects(self, **given: object) -> int:
        """Count suspects as a worker with room for both kinds of jobs."""
        asked: dict[str, object] = {"worker_id": "w", "lease": 60, "threads": 1, "coroutines": 1}
        return self.queue.suspects(Claim(**asked | given))  # type: ignore[arg-type]

    def suspect(self, **given: object) -> Job | None:
        """Store a new suspect; ``None`` if the queue does not distinguish suspects."""
        job = self.enqueue(lost=SUSPECT, **given)
        return job if self.suspects() else None

    def alone(self, **given: object) -> list[str]:
        """Fetch as a worker that runs suspects alone; return the ids."""
        return [job.id for job in self.fetch(suspects=True, **given)]

    def test_a_worker_of_other_jobs_gets_none(self) -> None:
        suspect, other = self.suspect(priority=9), self.enqueue(lost=SUSPECT - 1)
        if suspect:
            assert [job.id for job in self.fetch(suspects=False)] == [other.id]
            assert self.suspects() == 1
            assert self.alone() == [suspect.id]
            assert self.suspects() == 0

    def test_who_does_not_mind_gets_them_in_their_order(self) -> None:
        jobs = [self.enqueue(age=9 - number, lost=number % 3, is_async=number % 2 == 1) for number in range(6)]
        assert [job.id for job in self.fetch()] == [job.id for job in jobs]

    def test_one_at_a_time_the_best_first(self) -> None:
        if self.suspect(age=30, priority=1, is_async=True):
            self.enqueue(age=60, priority=1, lost=SUSPECT)
            self.enqueue(age=90, lost=SUSPECT, tags=("t",))
            self.enqueue(priority=100)
            held = [self.fetch(suspects=True) for _ in range(4)]
            assert [[(job.priority, job.is_async) for job in jobs] for jobs in held] == [
                [(1, False)],
                [(1, True)],
                [(0, False)],
                [],
            ]
            assert len({job.token for [job] in held[:3]}) == 3

    def test_only_what_there_is_room_for(self) -> None:
        if suspect := self.suspect(is_async=True):
            assert (self.suspects(coroutines=0), self.alone(coroutines=0)) == (0, [])
            assert (self.suspects(threads=0), self.alone(threads=0)) == (1, [suspect.id])

    def test_only_of_the_queues_and_tags_asked_for(self) -> None:
        if suspect := self.suspect(queue_name="emails", tags=("a",)):
            for chosen in ({"queues": ("default",)}, {"tags": ()}, {"tags": ("b",)}):
                assert (self.suspects(**chosen), self.alone(**chosen)) == (0, []), chosen
            assert self.suspects(queues=("emails",), tags=("a", "b")) == 1
            assert self.alone(queues=("emails",), tags=("a", "b")) == [suspect.id]

    def test_not_before_it_is_due(self) -> None:
        if suspect := self.suspect(run_after=in_seconds(-1)):
            self.enqueue(lost=SUSPECT, run_after=in_seconds(60))
            assert self.suspects() == 1
            assert [self.alone(), self.alone()] == [[suspect.id], []]

    def test_a_death_too_many_makes_one(self) -> None:
        if self.suspect():
            self.alone()
            job = self.enqueue()
            for number in range(SUSPECT):
                assert [held.lost for held in self.fetch(lease=0, suspects=False)] == [number]
                self.queue.rescue()
            assert self.fetch(suspects=False) == []
            [held] = self.fetch(lease=0, suspects=True)
            assert (held.id, held.lost) == (job.id, SUSPECT)
            [freed] = self.queue.rescue()
            assert (freed.status, freed.lost) == (FAILED, MAX_LOST)
            assert self.suspects() == 0

    def test_it_stays_one_until_it_has_ended(self) -> None:
        if suspect := self.suspect():
            [held] = self.fetch(suspects=True)
            self.queue.finish([retry(held, run_after=in_seconds(-1))])
            assert self.fetch(suspects=False) == []
            [held] = self.fetch(suspects=True)
            assert held.id == suspect.id
            assert self.queue.finish([done(held)]) == set()
            assert self.suspects() == 0

    def test_the_oldest_due_may_be_one(self) -> None:
        if suspect := self.suspect(age=60):
            self.enqueue(age=30)
            due = self.queue.oldest_due()
            assert due is not None
            assert abs((due - suspect.due_at).total_seconds()) < 1
