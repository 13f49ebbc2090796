"""The ticks that wait until an earlier job of their schedule has ended, or until their queue can be reached."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ...log.safe import get_logger
from ..entry import Occurrence

logger = get_logger("django_loco.scheduler")


@dataclass(slots=True)
class _Pending:
    """The occurrences of one schedule that wait, in order."""

    try_at: datetime
    """When the first one is tried next."""

    occurrences: deque[Occurrence] = field(default_factory=deque)


class PendingOccurrences:
    """The occurrences that wait, in a line for each schedule. For one thread; others may read ``count``.

    1. ``add`` appends an occurrence to the line of its schedule.
    2. ``ready`` names the schedules that are to be tried now; ``first`` is the occurrence to try.
    3. ``drop`` removes it, or ``postpone`` delays the whole line.
    """

    def __init__(self) -> None:
        self._lines: dict[str, _Pending] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    @property
    def count(self) -> int:
        """How many occurrences wait."""
        return sum(len(line.occurrences) for line in tuple(self._lines.values()))

    @property
    def next_at(self) -> datetime | None:
        """When the next one is tried; ``None`` if none waits."""
        return min((line.try_at for line in self._lines.values()), default=None)

    def add(self, occurrence: Occurrence, try_at: datetime, cap: int) -> None:
        """Let ``occurrence`` wait. If more than ``cap`` of its schedule wait, the oldest are dropped."""
        line = self._lines.setdefault(occurrence.name, _Pending(try_at))
        if occurrence.key not in (other.key for other in line.occurrences):
            line.occurrences.append(occurrence)
        while len(line.occurrences) > cap:
            oldest = line.occurrences.popleft()
            logger.warning(
                "Schedule %r: more than %d ticks wait for an earlier job to end; that of %s is left out",
                *(oldest.name, cap, oldest.label),
            )

    def ready(self, now: datetime) -> Sequence[str]:
        """Return the names of the schedules that are to be tried now."""
        return [name for name, line in self._lines.items() if line.try_at <= now]

    def first(self, name: str) -> Occurrence | None:
        """Return the first occurrence of the schedule ``name`` that waits."""
        line = self._lines.get(name)
        return line.occurrences[0] if line else None

    def drop(self, name: str) -> None:
        """Remove the first occurrence of the schedule ``name``."""
        self._lines[name].occurrences.popleft()
        if not self._lines[name].occurrences:
            del self._lines[name]

    def postpone(self, name: str, until: datetime) -> None:
        """Try the occurrences of the schedule ``name`` at ``until``."""
        self._lines[name].try_at = until

    def clear(self) -> None:
        """Remove all occurrences."""
        self._lines.clear()

    def retry_now(self, now: datetime) -> None:
        """Try all schedules at ``now``, because the clock was put back."""
        for line in self._lines.values():
            line.try_at = now
