"""Lists the locks that are held."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..core.job.clock import time_of_micros
from ..jobs.stores import searched
from .table import table_of


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLock:
    """A lock that somebody holds."""

    backend: str
    """The alias in ``TASKS``."""

    name: str
    holder: str
    """The machine and the process: ``host:pid``."""

    job: str
    """The id of the job that has it; empty if it is held outside of jobs."""

    since: datetime
    """By the store's clock."""

    token: int
    waiting: int
    """The number of claims in line, including claims of dead processes."""


def held(*, backend: str | None = None) -> list[HeldLock]:
    """Return the held locks of one alias of ``TASKS``, or of all, sorted by alias and name.

    Raises ``ValueError`` for an alias that is not one of django-loco's, and ``QueueUnavailable``.
    """
    return [
        HeldLock(
            backend=alias,
            name=name,
            holder=state.holder.place,
            job=state.holder.job,
            since=time_of_micros(state.holder.since),
            token=state.token,
            waiting=len(state.waiting),
        )
        for alias in searched(backend)
        for name, state in sorted(table_of(alias).held())
        if state.holder is not None
    ]
