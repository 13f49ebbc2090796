"""The ticks that wait until an earlier job of their schedule has ended, or until their store is back."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from ..log.safe import get_logger

logger = get_logger("django_loco.scheduler")


class Occasion(NamedTuple):
    """What a schedule is to be fired for: a tick, or something that has happened."""

    name: str
    """Of the schedule."""

    key: str
    """Of its job."""

    at: datetime
    """When it was due."""

    told: str
    """What it is called in the log."""

    overlap: str
    """What becomes of it while an earlier job has not ended."""


@dataclass(slots=True)
class _Line:
    """What waits of one schedule, in order."""

    try_at: datetime
    """When the first is tried (again)."""

    occasions: deque[Occasion] = field(default_factory=deque)


class Waiting:
    """Lines of occasions, one for each schedule that has some. Used by one thread; ``count`` may be read from others.

    1. ``add`` puts one at the end of its line.
    2. ``ready`` names the schedules whose first is to be tried now, and ``first`` is that.
    3. ``drop`` takes it out; or ``postpone`` lets the line wait.
    """

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    @property
    def count(self) -> int:
        """How many wait."""
        return sum(len(line.occasions) for line in tuple(self._lines.values()))

    @property
    def next_at(self) -> datetime | None:
        """When one is to be tried next; ``None``: none waits."""
        return min((line.try_at for line in self._lines.values()), default=None)

    def add(self, occasion: Occasion, try_at: datetime, cap: int) -> None:
        """Let ``occasion`` wait, with at most ``cap`` of its schedule: the oldest are left out."""
        line = self._lines.setdefault(occasion.name, _Line(try_at))
        if occasion.key not in (other.key for other in line.occasions):
            line.occasions.append(occasion)
        while len(line.occasions) > cap:
            oldest = line.occasions.popleft()
            logger.warning(
                "Schedule %r: more than %d ticks wait for an earlier job to end; that of %s is left out",
                *(oldest.name, cap, oldest.told),
            )

    def ready(self, now: datetime) -> Sequence[str]:
        """Return the schedules whose line is to be tried."""
        return [name for name, line in self._lines.items() if line.try_at <= now]

    def first(self, name: str) -> Occasion | None:
        """Return what is first in the line of a schedule."""
        line = self._lines.get(name)
        return line.occasions[0] if line else None

    def drop(self, name: str) -> None:
        """Take the first out of its line."""
        self._lines[name].occasions.popleft()
        if not self._lines[name].occasions:
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
