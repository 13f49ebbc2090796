"""The records that a queue has of limits (``core.job.limits``), beside its jobs.

A limited job that waits is not among the jobs that a plain fetch reads, so jobs without limits cost nothing more. A
fetch takes limited jobs separately: in the order of priority, and then key by key in turns, so that a key with many
jobs delays another one by no more than its share. Jobs of keys without room are not looked at, and nothing is stored
about them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from ...core.job import Outcome
from ...core.job.limits import NO_LIMITS, KeyTimes, Limit, Limiter, Limits
from ...exceptions import QueueRefused
from ..claim import Claim


def note_ends(limiter: Limiter, outcomes: Iterable[Outcome]) -> None:
    """Tell ``limiter`` which keys jobs have closed, and which starts they give back."""
    for outcome in outcomes:
        limiter.close(outcome.closes, outcome.closed_for)
        limiter.give_back(outcome.gives_back)


class LimitUse(NamedTuple):
    """How limits are used."""

    now: int
    """The time of the store, as in ``core.job.limits``."""

    running: Mapping[str, int]
    """The number of jobs that run, by limit key."""

    waiting: Mapping[str, int]
    """The number of jobs that are due, by limit key."""

    times: Mapping[str, KeyTimes]
    """The times of keys."""

    oldest: Mapping[str, datetime] = MappingProxyType({})
    """Since when the oldest of the waiting jobs is due, by limit key."""


NO_USE = LimitUse(0, *[MappingProxyType[str, Any]({})] * 3)


class Limiting:
    """The methods of a queue for limits."""

    def limit_use(self, keys: Collection[str] | None = None) -> LimitUse:  # noqa: ARG002
        """Return how limits are used; with ``keys``, only the running jobs and the times of these keys.

        By default a queue knows no limits.
        """
        return NO_USE

    def limited_waiting(self, claim: Claim) -> Mapping[str, int]:  # noqa: ARG002
        """Return how many limited jobs of ``claim`` are due, by limit key, whether they may begin now or not.

        With several tags a job may count once for each. By default there are none.
        """
        return {}

    def oldest_limited(self, queues: tuple[str, ...] | None = None) -> datetime | None:  # noqa: ARG002
        """Return the due time of the limited job that has been due for the longest time, whether it may begin or not.

        By default there are none.
        """
        return None

    def set_limit(self, name: str, limit: Limit | None) -> None:  # noqa: ARG002
        """Use ``limit`` for ``name`` from now on, instead of the one in ``Claim.limits``; ``None``: use that again.

        Other processes obey within a second. By default it raises ``QueueRefused``.
        """
        raise QueueRefused(f"{type(self).__name__} cannot change limits: it has no set_limit().")

    def open_keys(self, name: str) -> int:  # noqa: ARG002
        """Open the keys of a limit that jobs have closed; return how many. By default there are none."""
        return 0

    def changed_limits(self) -> Limits:
        """Return the limits that ``set_limit`` has changed."""
        return NO_LIMITS
