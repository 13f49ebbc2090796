"""The part of a filter that a queue can apply by itself."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ...core.compat import TaskResultStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Where the jobs that a filter matches can be. ``None`` means no bound."""

    statuses: frozenset[TaskResultStatus] | None = None
    queues: frozenset[str] | None = None
    backends: frozenset[str] | None = None
    """Aliases in ``TASKS``."""

    ids: frozenset[str] | None = None
    before: str | None = None
    """Their ids are below this one."""

    since: str | None = None
    """Their ids are not below this one."""

    def __and__(self, other: Bounds) -> Bounds:
        """Return the bounds of the jobs that are within both."""
        return Bounds(**{each.name: _both(each.name, self, other) for each in fields(self)})


def _both(name: str, one: Bounds, other: Bounds) -> Any:
    first, second = getattr(one, name), getattr(other, name)
    if first is None or second is None:
        return second if first is None else first
    if name == "before":
        return min(first, second)
    return max(first, second) if name == "since" else first & second


ANYWHERE = Bounds()
