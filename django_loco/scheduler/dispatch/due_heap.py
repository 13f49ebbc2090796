"""Finds which schedule is due next: a heap of ticks, so that schedules that are not due cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from ...log.safe import get_logger
from ..entry import ScheduleEntry

logger = get_logger("django_loco.scheduler")


FindTick = Callable[[ScheduleEntry, datetime], datetime | None]


def next_tick(entry: ScheduleEntry, after: datetime) -> datetime | None:
    """Return the first tick of ``entry`` after ``after``; ``None`` if there is none."""
    return entry.trigger.next_after(after)


class DueTick(NamedTuple):
    """A planned tick. Ticks are ordered by time, then by the position of their schedule."""

    at: datetime
    """When to fire it: at its time, or later if it was postponed."""

    position: int
    """The position of its schedule in ``DueHeap.entries``."""

    tick: datetime
    rest: tuple[datetime, ...] | None = None
    """If it is one of several missed ticks: the missed ticks after it."""


class DueHeap:
    """The next tick of each schedule from ``start`` on. ``first`` may find an earlier tick that was missed.

    1. ``take`` removes the earliest tick that is due.
    2. ``plan_next`` adds the following tick, or ``postpone`` puts the tick back for later.

    For one thread; others may call only ``late_by``.
    """

    def __init__(self, entries: Sequence[ScheduleEntry], start: datetime, first: FindTick = next_tick) -> None:
        self.entries: Sequence[ScheduleEntry] = []
        self._heap: list[DueTick] = []
        self.change(entries, start, first)

    def change(self, entries: Sequence[ScheduleEntry], start: datetime, first: FindTick = next_tick) -> None:
        """Replace the schedules. Unchanged schedules keep their next tick. New or changed ones begin when they changed.

        If the time of the change is not known, they begin after ``start``.
        """
        before = {_identity(entry): entry.trigger for entry in self.entries}
        positions = {_identity(entry): position for position, entry in enumerate(entries)}
        same = {key for key, position in positions.items() if before.get(key) == entries[position].trigger}
        kept = [(due, _identity(self.entries[due.position])) for due in self._heap]
        self.entries, self._heap = entries, [due._replace(position=positions[key]) for due, key in kept if key in same]
        heapify(self._heap)
        for key, position in positions.items():
            if key not in same:
                since = entries[position].since
                self._plan(position, since or start, next_tick if since else first)

    def start_over(self, now: datetime) -> None:
        """Compute all next ticks again after ``now``.

        Ticks that were due and still wait are kept, and are due at once.
        """
        waiting = [due for due in self._heap if due.tick <= now]
        self._heap = [due._replace(at=now, rest=due.rest and _until(now, due.rest)) for due in waiting]
        heapify(self._heap)
        for position in set(range(len(self.entries))) - {due.position for due in waiting}:
            self._plan(position, now)

    @property
    def next_at(self) -> datetime | None:
        """When the next tick is due; ``None`` if there is none."""
        return self._heap[0].at if self._heap else None

    def take(self, now: datetime) -> DueTick | None:
        """Remove and return the earliest tick that is due at ``now``; ``None`` if there is none."""
        return heappop(self._heap) if self._heap and self._heap[0].at <= now else None

    def plan_next(self, due: DueTick, tick: datetime) -> None:
        """Add the tick after ``tick`` of the schedule of ``due``, or the next of its missed ticks."""
        if due.rest:
            heappush(self._heap, DueTick(due.at, due.position, due.rest[0], due.rest[1:]))
        else:
            self._plan(due.position, tick)

    def postpone(self, due: DueTick, until: datetime) -> None:
        """Put ``due`` back, to fire at ``until``."""
        heappush(self._heap, due._replace(at=until))

    def late_by(self, now: datetime) -> float:
        """Return by how many seconds the oldest unfired tick is late; 0.0 if none is."""
        return max(((now - due.tick).total_seconds() for due in tuple(self._heap) if due.tick < now), default=0.0)

    def _plan(self, position: int, after: datetime, find: FindTick = next_tick) -> None:
        entry = self.entries[position]
        try:
            tick = find(entry, after)
        except Exception:
            # An error of one schedule must not affect the others.
            logger.exception("Schedule %r is off: its next tick cannot be computed", entry.name)
            return
        if tick is not None:
            heappush(self._heap, DueTick(tick, position, tick))


def _until(now: datetime, ticks: tuple[datetime, ...]) -> tuple[datetime, ...]:
    return tuple(tick for tick in ticks if tick <= now)


def _identity(entry: ScheduleEntry) -> tuple[str, str]:
    return entry.name, entry.release


def preview(
    entries: Sequence[ScheduleEntry], after: datetime, until: datetime
) -> Iterator[tuple[datetime, ScheduleEntry]]:
    """Yield the ticks of all ``entries`` after ``after``, up to ``until``, the earliest first."""
    due_heap = DueHeap(entries, after)
    while due := due_heap.take(until):
        yield due.tick, entries[due.position]
        due_heap.plan_next(due, due.tick)
