"""The ticks that wait until an earlier job of their schedule has ended, or until their store is back."""

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
    """What waits of one schedule, in order."""

    try_at: datetime
    """When the first is tried (again)."""

    occurrences: deque[Occurrence] = field(default_factory=deque)


class PendingOccurrences:
    """Lines of occurrences, one for each schedule that has some. Used by one thread; ``count`` may be read from others.

    1. ``add`` puts one at the end of its line.
    2. ``ready`` names the schedules whose first is to be tried now, and ``first`` is that.
    3. ``drop`` takes it out; or ``postpone`` lets the line wait.
    """

    def __init__(self) -> None:
        self._lines: dict[str, _Pending] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    @property
    def count(self) -> int:
        """How many wait."""
        return sum(len(line.occurrences) for line in tuple(self._lines.values()))

    @property
    def next_at(self) -> datetime | None:
        """When one is to be tried next; ``None``: none waits."""
        return min((line.try_at for line in self._lines.values()), default=None)

    def add(self, occurrence: Occurrence, try_at: datetime, cap: int) -> None:
        """Let ``occurrence`` wait, with at most ``cap`` of its schedule: the oldest are left out."""
        line = self._lines.setdefault(occurrence.name, _Pending(try_at))
        if occurrence.key not in (other.key for other in line.occurrences):
            line.occurrences.append(occurrence)
        while len(line.occurrences) > cap:
            oldest = line.occurrences.popleft()
            logger.warning(
                "Schedule %r: more than %d ticks wait for an earlier job to end; that of %s is left out",
                *(oldest.name, cap, oldest.told),
            )

    def ready(self, now: datetime) -> Sequence[str]:
        """Return the schedules whose line is to be tried."""
        return [name for name, line in self._lines.items() if line.try_at <= now]

    def first(self, name: str) -> Occurrence | None:
        """Return what is first in the line of a schedule."""
        line = self._lines.get(name)
        return line.occurrences[0] if line else None

    def drop(self, name: str) -> None:
        """Take the first out of its line."""
        self._lines[name].occurrences.popleft()
        if not self._lines[name].occurrences:
            del self._lines[name]

    def postpone(self, name: str, until: datetime) -> None:
        """Let the line of a schedule wait."""
        self._lines[name].try_at = until

    def clear(self) -> None:
        """Leave out all that wait."""
        self._lines.clear()

    def retry_now(self, now: datetime) -> None:
        """Try all lines: the clock was put back to ``now``, and when to try is not what it was."""
        for line in self._lines.values():
            line.try_at = now
