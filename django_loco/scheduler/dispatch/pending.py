"""The ticks that wait until an earlier job of their schedule has ended, or until their queue can be reached."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ...log.plain_text import counted
from ...log.safe import get_logger
from ..entry import Occurrence
from .announcements import announce_skipped

logger = get_logger("django_loco.scheduler")


@dataclass(slots=True)
class _Pending:
    """The occurrences of one schedule that wait, in order."""

    try_at: datetime
    """When the first occurrence is tried next."""

    occurrences: deque[Occurrence] = field(default_factory=deque)


class PendingOccurrences:
    """The occurrences that wait, in order, for each schedule. For one thread; others may read ``count``.

    1. ``add`` appends an occurrence to those of its schedule.
    2. ``ready`` returns the schedules to try now; ``first`` returns the occurrence to try.
    3. ``drop`` removes it, or ``postpone`` delays all occurrences of its schedule.
    """

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._pending

    @property
    def count(self) -> int:
        """How many occurrences wait."""
        return sum(len(pending.occurrences) for pending in tuple(self._pending.values()))

    @property
    def next_at(self) -> datetime | None:
        """When the next occurrence is tried; ``None`` if none waits."""
        return min((pending.try_at for pending in self._pending.values()), default=None)

    def add(self, occurrence: Occurrence, try_at: datetime, cap: int) -> None:
        """Add ``occurrence``. If more than ``cap`` occurrences of its schedule wait, the oldest are dropped."""
        pending = self._pending.setdefault(occurrence.name, _Pending(try_at))
        if occurrence.key not in (other.key for other in pending.occurrences):
            pending.occurrences.append(occurrence)
        while len(pending.occurrences) > cap:
            oldest = pending.occurrences.popleft()
            logger.warning(
                "Schedule %r: more than %s for an earlier job to end; that of %s is skipped",
                *(oldest.name, counted(cap, "tick waits", "ticks wait"), oldest.label),
            )
            announce_skipped(oldest.name, oldest.at, "overlap")

    def ready(self, now: datetime) -> Sequence[str]:
        """Return the names of the schedules to try now."""
        return [name for name, pending in self._pending.items() if pending.try_at <= now]

    def first(self, name: str) -> Occurrence | None:
        """Return the first occurrence of the schedule ``name`` that waits."""
        pending = self._pending.get(name)
        return pending.occurrences[0] if pending else None

    def drop(self, name: str) -> None:
        """Remove the first occurrence of the schedule ``name``."""
        self._pending[name].occurrences.popleft()
        if not self._pending[name].occurrences:
            del self._pending[name]

    def postpone(self, name: str, until: datetime) -> None:
        """Try the occurrences of the schedule ``name`` at ``until``."""
        self._pending[name].try_at = until

    def clear(self) -> None:
        """Remove all occurrences."""
        self._pending.clear()

    def retry_now(self, now: datetime) -> None:
        """Try all schedules at ``now``, because the clock was put back."""
        for pending in self._pending.values():
            pending.try_at = now
