"""Reads the limits, and the jobs that hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .... import jobs
from ....conf import loco_settings
from ....core.job import Job
from ....core.job.limits import keys_of
from ....jobs.page_parts.scope import Scope
from ...recent import Recent

#: The most keys of a limit that are shown, running jobs that are read, and jobs of a key that are named.
KEYS, MOST_RUNNING, NAMED = 20, 500, 3
#: Limits are read once in this many seconds, so that many viewers cost a store no more than one.
SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsRead:
    """The limits of all aliases at one moment."""

    states: Sequence[jobs.LimitState]
    holders: Mapping[tuple[str, str], Sequence[Job]]
    """Running jobs by their alias and each of their keys. Only the newest running jobs are searched."""

    are_declared: bool
    """Whether ``LOCO["LIMITS"]`` declares a limit."""


_recent: Recent[LimitsRead] = Recent(of_jobs=True)


def read(scope: Scope) -> LimitsRead:
    """Return the limits of the aliases of ``scope``. Raises ``QueueError`` and ``LocoConfigurationError``."""
    return _recent.get((tuple(jobs.aliases()), str(scope)), SECONDS, lambda: _read(scope))


def forget() -> None:
    """Make the next call read the limits anew."""
    _recent.clear()


def _read(scope: Scope) -> LimitsRead:
    states = [each for each in jobs.limits(keys=KEYS) if scope.sees_alias(each.backend)]
    holders: dict[tuple[str, str], list[Job]] = {}
    if any(each.running for each in states):
        for job in scope.filter("status:running")[:MOST_RUNNING]:
            for key in filter(None, keys_of(job.limit_key or "")):
                holders.setdefault((job.backend, key), []).append(job)
    return LimitsRead(states=states, holders=holders, are_declared=bool(loco_settings().LIMITS))
