"""What a scheduler goes by: the due_heap of the schedules from code and database together, and which are paused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from ...log.safe import get_logger
from ..dependencies import Dependency, dependencies_of
from ..entry import Entry
from ..registry import Registry
from ..sources.database import Pause, StoredSchedules
from .due_heap import DueHeap, DueTick
from .release import release

logger = get_logger("django_loco.scheduler")

#: How many ticks are fired together at most.
MAX_BATCH = 500


class Timetable:
    """The due_heap of the schedules in ``registry``; with ``tags`` of those that have one of them.

    1. ``begin`` takes the schedules of the code.
    2. ``apply`` takes what the database has now; what has not changed goes on undisturbed.
    3. ``due`` hands out the ticks that are due, but for those that are paused.

    Used by one thread; ``due_heap`` and the counts may be read from others.
    """

    def __init__(self, registry: Registry, tags: Collection[str], now: datetime) -> None:
        self._registry = registry
        self._tags = tags
        self._pauses: Mapping[str, Pause] = {}
        self._by_name: Mapping[str, Entry] = {}
        self._starts: list[Entry] = []
        self._began: datetime | None = now
        """Where the ticks of what the database has begin; ``None``: it has been read, and what is new begins now."""

        self.due_heap = DueHeap([], now)
        self.dependencies: list[Dependency] = []
        """Which schedules run after which."""

        self.schedules = self.broken = 0
        """How many can run, and how many are off."""

    def begin(self, now: datetime) -> None:
        """Find the schedules of the code, and of each the tick to begin with."""
        entries = self._registry.entries(self._tags)
        self._know(entries, self._registry)
        self._starts, self._began = _starts(entries, now), now
        self.due_heap = DueHeap([*entries, *self._starts], now, _first(entries))
        self._count(self._registry)

    def apply(self, stored: StoredSchedules, now: datetime) -> None:
        """Go on with what the database has now."""
        registry = self._registry.combined_with(stored.rows)
        entries = registry.entries(self._tags)
        self._know(entries, registry)
        begin, self._began = self._began, None
        self.due_heap.change([*entries, *self._starts], begin or now, _first(entries) if begin else _next)
        self._pauses = stored.pauses
        if (len(entries), len(registry.problems())) != (self.schedules, self.broken):
            self._count(registry)

    def due(self, now: datetime) -> list[DueTick]:
        """Take the ticks that are due at ``now``, the earliest first: at most ``MAX_BATCH``, one of each schedule."""
        found: list[DueTick] = []
        while len(found) < MAX_BATCH and (due := self.due_heap.take(now)):
            if not self.pass_over(due, now):
                found.append(due)
        return found

    def pass_over(self, due: DueTick, now: datetime) -> bool:
        """Go on to the tick after ``due`` if its schedule is paused, or was then; return whether that is so."""
        pause = self._pauses.get(self.due_heap.entries[due.position].name)
        if pause is None or not pause.covers(due.tick):
            return False
        self.due_heap.follow(due._replace(rest=None), max(due.tick, now if pause.since else pause.until or now))
        return True

    def entry(self, name: str) -> Entry | None:
        """Return the schedule ``name`` as it is now; ``None``: there is none any more, or it is paused."""
        pause = self._pauses.get(name)
        return None if pause and pause.since else self._by_name.get(name)

    def start_over(self, now: datetime) -> None:
        """Compute all next ticks anew: the clock was put back."""
        self.due_heap = DueHeap(self.due_heap.entries, now)

    def _know(self, entries: Sequence[Entry], registry: Registry) -> None:
        self._by_name = {entry.name: entry for entry in entries}
        self.dependencies = dependencies_of(entries, registry.entries())

    def _count(self, registry: Registry) -> None:
        self.schedules, self.broken = len(registry.entries(self._tags)), len(registry.problems())
        logger.info("%d schedules", self.schedules)
        if self.broken:
            logger.warning(
                "%d more schedules are off because they are wrong: see manage.py loco_scheduler --check", self.broken
            )


def _starts(entries: Sequence[Entry], now: datetime) -> list[Entry]:
    """Return the runs on start; which deploy it is is looked into only if there are some."""
    found = [entry for entry in entries if entry.run_on_start]
    deploy = release() if found else ""
    return [entry.at_start(now + timedelta.resolution, deploy) for entry in found]


def _first(entries: Sequence[Entry]) -> Callable[[Entry, datetime], datetime | None]:
    """Return what finds the tick to begin with."""
    backends = {entry.task.backend: entry.task.get_backend() for entry in entries}
    # Where keys end with the process, what was just missed cannot be told from what was just fired.
    forgetful = {alias for alias, backend in backends.items() if not getattr(backend, "remembers", True)}

    def first(entry: Entry, start: datetime) -> datetime | None:
        if entry.task.backend in forgetful:
            return _next(entry, start)
        return entry.misfire.first(entry.trigger, start)

    return first


def _next(entry: Entry, start: datetime) -> datetime | None:
    return entry.trigger.next_after(start)
