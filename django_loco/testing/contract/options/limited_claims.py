"""The contract of limits: suspects among limited jobs, and which limited jobs wait for a claim."""

from __future__ import annotations

import time
from dataclasses import replace

from ....core.job import READY, SUSPECT, first_id, new_id
from ....queues import Claim
from ..case import done, in_seconds
from .limit_case import LIMITS, LimitCase, key_of


class LimitedClaimContract(LimitCase):
    """A queue that does not distinguish suspects is not tested with suspects."""

    def ready_suspects(self) -> int:
        """Return how many suspects may begin."""
        claim = Claim(worker_id="w", lease=60, threads=1, coroutines=1, suspects=True, limits=LIMITS)
        return self.queue.suspects(claim)

    def test_a_suspect_runs_alone_when_its_limit_has_room(self) -> None:
        first, second, third = self.limited("api", 3, lost=SUSPECT)
        if not self.ready_suspects():
            return  # the queue does not distinguish suspects
        assert (self.ready_suspects(), self.taken(suspects=False)) == (3, [])
        [held] = self.taken(suspects=True)
        assert [held.id, *(job.id for job in self.taken(suspects=True))] == [first.id, second.id]
        assert (self.ready_suspects(), self.taken(suspects=True)) == (0, [])
        self.queue.finish([done(held)])
        assert self.ready_suspects() == 1
        assert [job.id for job in self.taken(suspects=True)] == [third.id]

    def test_suspects_and_others_share_a_limit(self) -> None:
        [other] = self.limited("steady:1", 1)
        if not (self.limited("steady:2", 1, lost=SUSPECT, is_async=True) and self.ready_suspects()):
            return
        assert [job.id for job in self.taken(suspects=False)] == [other.id]
        [suspect] = self.limited("steady:1", 1, lost=SUSPECT)
        assert key_of(self.taken(suspects=True)) == ["steady:2"]
        assert (self.ready_suspects(), self.taken(suspects=True)) == (0, [])
        assert self.stored(suspect).status == READY
        plain = self.enqueue(lost=SUSPECT)
        assert self.ready_suspects() == 1
        assert [job.id for job in self.taken(suspects=True)] == [plain.id]

    def test_who_does_not_mind_gets_limited_suspects_like_others(self) -> None:
        jobs = self.limited("wide", 1) + self.limited("wide", 1, lost=SUSPECT)
        assert {job.id for job in self.taken(suspects=None)} == {job.id for job in jobs}

    def test_which_limited_jobs_wait(self) -> None:
        self.limited("api:1", 3)
        self.limited("api:1 db", 1, is_async=True)
        self.limited("steady", 2, queue_name="mail", tags=("a",))
        self.limited("api:1", 1, run_after=in_seconds(3600))
        self.enqueue()
        claim = Claim(worker_id="w", lease=60, threads=1, coroutines=1)
        expected = {"api:1": 3, "api:1 db": 1, "steady": 2}
        assert self.queue.limited_waiting(claim) == expected
        for given, keys in (
            ({"threads": 0}, {"api:1 db"}),
            ({"coroutines": 0}, {"api:1", "steady"}),
            ({"queues": ("mail",)}, {"steady"}),
            ({"queues": ("default",)}, {"api:1", "api:1 db"}),
            ({"tags": ("a", "b")}, {"steady"}),
            ({"tags": ()}, {"api:1", "api:1 db"}),
        ):
            asked = replace(claim, **given)
            assert self.queue.limited_waiting(asked) == {key: expected[key] for key in keys}, given
        self.queue.pause("mail")
        assert "steady" not in self.queue.limited_waiting(claim)
        assert len(self.taken()) == 3
        assert sum(self.queue.limited_waiting(claim).values()) == 2

    def test_a_clock_that_is_ahead_delays_no_limited_job(self) -> None:
        then = in_seconds(3600)
        job_id = first_id(then)[:12] + new_id()[12:]
        self.limited("api:1", 1, id=job_id, enqueued_at=then)
        deadline = time.monotonic() + 10
        while not (taken := self.taken()):  # a database looks for such jobs every few seconds
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert [job.id for job in taken] == [job_id]
