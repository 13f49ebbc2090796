"""Fetches, finishes and rescues jobs in Redis, each by the script ``exchange``, which can do several at once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from ...core.job import READY, Job, Outcome
from ..claim import Claim
from ..listener import ListeningQueue
from ..rows.unreadable import outcomes_of, readable, split
from .codec.answers import decoded, ids_of, jobs_of
from .codec.claims import claim_payload, ends_payload
from .codec.payloads import lines, logs_payload, outcome_payload
from .connections.server import RedisServer
from .listener import Demand, RedisListener, channels_for, is_soon, subscriptions_for
from .lookups import RedisLookups
from .records.signals import RedisSignals
from .records.workers import RedisWorkers


class ExchangingQueue(RedisSignals, RedisWorkers, ListeningQueue[RedisListener]):
    """A queue that hands out jobs and takes their outcomes. It notes what its last fetch had room for."""

    server: RedisServer
    _demand: Demand
    _lookups: RedisLookups

    def fetch(self, claim: Claim) -> list[Job]:
        """Hand over jobs that are due, best first."""
        _, jobs = self._exchange((), claim)
        self._local.nonce = None
        return [*jobs]

    def finish(self, outcomes: Sequence[Outcome]) -> set[str]:
        """Store how jobs ended; return the ids refused. An outcome that is stored already is not refused."""
        return self._woken(outcomes, self._exchange(outcomes, None)[0]) if outcomes else set()

    def exchange(self, outcomes: Sequence[Outcome], claim: Claim, stored: Callable[[set[str]], None]) -> list[Job]:
        """Finish and fetch in one round trip."""
        refused, jobs = self._exchange(outcomes, claim)
        stored(self._woken(outcomes, refused))
        self._local.nonce = None  # if this call fails before, the next fetch gets the same jobs
        return [*jobs]

    def rescue(self, limit: int = 100) -> list[Job]:
        """Free jobs whose lease has run out."""
        expired = self._lookups.shown("", limit)
        if not expired:
            return []
        outcomes = [Outcome.of_dead_worker(job) for job in expired]
        refused, _ = self._exchange(outcomes, None, only_expired=True)
        return readable(self.alias, (outcome.applied() for outcome in outcomes if outcome.job.id not in refused))

    def wait(self, timeout: float) -> bool:
        """Block until jobs arrive that the last fetch had room for, or a deferred job becomes due."""
        return super().wait(timeout) or time.monotonic() >= self._demand.next_due

    def _exchange(
        self, outcomes: Sequence[Outcome], claim: Claim | None, *, only_expired: bool = False
    ) -> tuple[set[str], Sequence[Job]]:
        ready = [outcome.job for outcome in outcomes if outcome.status == READY and is_soon(outcome.run_after)]
        payload = lines(chain.from_iterable(map(outcome_payload, outcomes)))
        logs = logs_payload({outcome.job.id: outcome.log for outcome in outcomes if outcome.log})
        claimed = self._claim_payload(claim) if claim else ()
        # Redis keeps the answer to a rescue under a name of its own, and the answer to a fetch under the worker's name.
        asker = claim.worker_id if claim else f"rescue:{secrets.token_hex(8)}" if only_expired else ""
        freed = [outcome.job for outcome in outcomes if outcome.job.limit_key is not None]  # more jobs may begin
        more_keys = (f"answer:{asker}", *sorted(channels_for((*ready, *freed) if freed else ready)))
        marks = f"{len(ready)} {len(freed)}"
        arguments = (payload, int(only_expired), marks, logs, *ends_payload(outcomes), *claimed)
        refused, rows, next_due, command = self.server.run("exchange", arguments, more_keys)
        jobs, unreadable = split(jobs_of(self.alias, decoded(rows)))
        if unreadable:  # before the fetch counts as answered, so that a retry fails them
            self._exchange(outcomes_of(self.alias, unreadable), None)
        if claim and jobs and jobs[0].is_async != jobs[-1].is_async:  # the sync ones come first
            jobs.sort(key=lambda job: (*claim.rank(job.priority, job.due_at), job.id))
        if claim:
            if claimed[-1]:
                self._note_command(claim.worker_id, decoded(command))
            self._note(claim, jobs, next_due / 1e6 if next_due >= 0 else float("inf"))
        return ids_of(refused), jobs

    def _claim_payload(self, claim: Claim) -> tuple[Any, ...]:
        # All tries of a fetch have the same nonce until one is answered.
        self._local.nonce = getattr(self._local, "nonce", None) or secrets.token_hex(8)
        asked = claim.worker_id if self._is_command_old(claim.worker_id) else ""
        return *claim_payload(claim, self._local.nonce), asked

    def _note(self, claim: Claim, jobs: Sequence[Job], seconds: float) -> None:
        coroutines = sum(job.is_async for job in jobs)
        threads = len(jobs) - coroutines
        subscriptions = subscriptions_for(claim, claim.threads - threads, claim.coroutines - coroutines)
        if self._demand.note(claim.worker_id, subscriptions, time.monotonic() + seconds):
            for listener in self.listeners():
                listener.change()
