"""Signals for jobs (``core.job.waits``) as a queue stores them."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.job import Job, Outcome
from ...exceptions import QueueRefused


class JobSignals:
    """The method of a queue for signals."""

    def signal(self, job: Job, text: str | None) -> bool:  # noqa: ARG002
        """Store ``text`` as the ``signals`` of a ``RUNNING`` job, whoever holds it; return whether that was done.

        It is not done if the job no longer runs, or if its ``signals`` differ from the ``signals`` of ``job``. For a
        job that waits, use ``change``. By default it raises ``QueueRefused``.
        """
        raise QueueRefused(f"{type(self).__name__} cannot send signals to jobs: it has no signal().")


def woken(outcomes: Sequence[Outcome], refused: set[str]) -> list[Outcome]:
    """Return the ``outcomes`` that wait and were ``refused``, as ``woken``: a signal may have been sent meanwhile."""
    return [outcome.woken() for outcome in outcomes if outcome.waits and outcome.job.id in refused]
