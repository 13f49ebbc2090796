"""Signals for jobs in Redis: ``lua/signal.lua`` stores them, and ``lua/finish.lua`` notices that one was sent."""

from __future__ import annotations

from collections.abc import Sequence

from ....core.job import Job, Outcome
from ...records.signals import JobSignals, woken
from ..connections.server import RedisServer


class RedisSignals(JobSignals):
    """The signals of ``RedisQueue``."""

    server: RedisServer

    def signal(self, job: Job, text: str | None) -> bool:
        """Store the signals of a running job, if they are as they were read; return whether they are stored."""
        return bool(self.server.run("signal", (job.id, job.signals or "", text or "")))

    def finish(self, outcomes: Sequence[Outcome]) -> set[str]:
        """Store how jobs ended; return the ids refused."""
        raise NotImplementedError

    def _woken(self, outcomes: Sequence[Outcome], refused: set[str]) -> set[str]:
        """Store refused outcomes of jobs that wait for a signal as due at once; return the ids still refused."""
        again = woken(outcomes, refused) if refused else ()
        still = self.finish(again) if again else set()
        return refused - {outcome.job.id for outcome in again} | still
