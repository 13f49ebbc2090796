"""The contract of ``fetch`` for suspects: jobs that run alone, because several workers have died with them."""

from __future__ import annotations

from ...core.job import FAILED, MAX_LOST, SUSPECT, Job
from ...queues import Claim
from .case import ContractCase, done, in_seconds, retry


class SuspectContract(ContractCase):
    """Suspects run alone. A queue that does not distinguish them (``suspects`` always returns 0) is not tested."""

    def suspects(self, **given: object) -> int:
        """Count suspects as a worker with room for both kinds of jobs."""
        asked: dict[str, object] = {"worker_id": "w", "lease": 60, "threads": 1, "coroutines": 1}
        return self.queue.suspects(Claim(**asked | given))  # type: ignore[arg-type]

    def suspect(self, **given: object) -> Job | None:
        """Store a new suspect; ``None`` if the queue does not tell suspects apart."""
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
