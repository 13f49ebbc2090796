"""All schedules that a scheduler runs, from code and database, with their next ticks and their pauses."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from ...log.safe import get_logger
from ..dependencies import Dependency, dependencies_of
from ..entry import ScheduleEntry
from ..registry import Registry
from ..sources.database import Pause, StoredSchedules
from ..triggers.trigger import Trigger
from .announcements import announce_skipped
from .deploy import deploy_id
from .due_heap import DueHeap, DueTick, FindTick, next_tick

logger = get_logger("django_loco.scheduler")

#: The most ticks that are fired together.
MAX_BATCH = 500
#: The period is the longest of this many intervals between ticks. They cover a week of daily ticks, with its weekend.
PERIODS = 8
#: How long a tick of a paused schedule waits for a new read of the database, which tells whether the schedule is still
#: paused; and how often it checks for a new read.
PAUSE_HOLD, HOLD_INTERVAL = timedelta(seconds=5), timedelta(seconds=0.5)


class Timetable:
    """The schedules of ``registry`` and the database whose jobs are in ``alias`` of ``TASKS``.

    1. ``begin`` takes the schedules of the code.
    2. ``apply`` takes the schedules and pauses of the database. Schedules that have not changed keep their next tick.
    3. ``due`` returns the ticks that are due, except the ticks of paused schedules. The first read of the database
       after a tick tells whether the schedule was still paused at the tick.

    For one thread; others may read ``due_heap`` and the counts.
    """

    def __init__(self, registry: Registry, tags: Collection[str], now: datetime, alias: str) -> None:
        """``tags``: only schedules that have one of these tags; without tags, all schedules."""
        self._registry, self._alias = registry, alias
        self._tags = tags
        self._pauses: Mapping[str, Pause] = {}
        self._by_name: Mapping[str, ScheduleEntry] = {}
        self._starts: list[ScheduleEntry] = []
        self._began: datetime | None = now
        """When the ticks of database rows begin; ``None`` after the first read, so that new rows begin at once."""

        self.read_at: datetime | None = None
        """When the pauses were last read; ``None`` if they are not read again."""

        self.due_heap = DueHeap([], now)
        self.dependencies: list[Dependency] = []
        """The schedules of ``alias`` that others run after, with these others.

        The others' jobs may be in other aliases.
        """

    def begin(self, now: datetime) -> None:
        """Take the schedules of the code, and find the first tick of each."""
        entries = self._set_schedules(self._registry)
        self._starts, self._began = _starts(entries, now), now
        self.due_heap = DueHeap([*entries, *self._starts], now, _first(entries, now))

    def apply(self, stored: StoredSchedules, now: datetime) -> None:
        """Take the schedules and pauses that the database has now."""
        entries = self._set_schedules(self._registry.combined_with(stored.rows))
        begin, self._began = self._began, None
        self.due_heap.change([*entries, *self._starts], begin or now, _first(entries, now) if begin else next_tick)
        self.set_pauses(stored.pauses)

    def set_pauses(self, pauses: Mapping[str, Pause]) -> None:
        """Take the pauses that the database has now."""
        self._pauses = pauses

    def due(self, now: datetime) -> list[DueTick]:
        """Take the ticks that are due at ``now``, the earliest first: at most ``MAX_BATCH``, one of each schedule."""
        found: list[DueTick] = []
        while len(found) < MAX_BATCH and (due := self.due_heap.take(now)):
            if not self.skip_if_paused(due, now):
                found.append(due)
        return found

    def skip_if_paused(self, due: DueTick, now: datetime) -> bool:
        """Return whether ``due`` is not fired now, because its schedule is paused or was paused at that time.

        It is skipped, or held until it is known whether the schedule was resumed before the tick.
        """
        name = self.due_heap.entries[due.position].name
        was_paused = self.was_paused(name, due.tick, now)
        if was_paused is None:
            self.due_heap.postpone(due, now + HOLD_INTERVAL)
        elif was_paused:
            announce_skipped(name, due.tick, "paused")
            pause = self._pauses[name]
            after = self._pauses_known_until(now) if pause.since else pause.until or now
            self.due_heap.plan_next(due._replace(rest=None), max(due.tick, after))
        return was_paused is not False

    def was_paused(self, name: str, moment: datetime, now: datetime) -> bool | None:
        """Return whether a run of the schedule ``name`` that was due at ``moment`` is skipped because of a pause.

        ``None``: the next read of the database says whether the schedule was resumed before.
        """
        pause = self._pauses.get(name)
        if pause is None or not pause.covers(moment):
            return False
        is_unknown = pause.since and self._pauses_known_until(now) < moment and abs(now - moment) < PAUSE_HOLD
        return None if is_unknown else True

    def _pauses_known_until(self, now: datetime) -> datetime:
        return min(now, self.read_at or now)

    def entry(self, name: str) -> ScheduleEntry | None:
        """Return the schedule ``name``; ``None`` if it is gone or paused."""
        pause = self._pauses.get(name)
        return None if pause and pause.since else self._by_name.get(name)

    def start_over(self, now: datetime) -> None:
        """Compute all next ticks again, because the clock was put back. Ticks that wait are kept."""
        self.due_heap.start_over(now)

    def _set_schedules(self, registry: Registry) -> Sequence[ScheduleEntry]:
        """Take the schedules of ``registry``. Return the alias's own schedules."""
        tagged = registry.entries(self._tags)
        entries = [entry for entry in tagged if entry.task.backend == self._alias]
        self._by_name = {entry.name: entry for entry in entries}
        candidates = [entry for entry in registry.entries() if entry.task.backend == self._alias]
        self.dependencies = dependencies_of(tagged, candidates)
        return entries


def period_of(trigger: Trigger, now: datetime) -> float:
    """Return the longest time between the next ticks of ``trigger``, in seconds; 0 if there are fewer than two."""
    longest = 0.0
    try:
        before = trigger.next_after(now)
        for _ in range(PERIODS):
            following = trigger.next_after(before) if before is not None else None
            if before is None or following is None:
                return longest
            longest, before = max(longest, (following - before).total_seconds()), following
    except Exception:  # noqa: BLE001 - the scheduler logs the error when it computes the next tick
        return 0.0
    return longest


def _starts(entries: Sequence[ScheduleEntry], now: datetime) -> list[ScheduleEntry]:
    """Return the runs on start. The deploy is identified only if a schedule runs on start."""
    found = [entry for entry in entries if entry.run_on_start]
    try:
        deploy = deploy_id() if found else ""
    except Exception:
        logger.exception("This deploy cannot be identified, so no schedule runs on start: set LOCO['RELEASE']")
        return []
    return [entry.at_start(now + timedelta.resolution, deploy) for entry in found]


def _first(entries: Sequence[ScheduleEntry], now: datetime) -> FindTick:
    """Return the function that finds the first tick of a schedule."""
    backends = {entry.task.backend: entry.task.get_backend() for entry in entries}
    # A queue that loses its keys with the process cannot distinguish a missed tick from one that was just fired.
    forgetful = {alias for alias, backend in backends.items() if not getattr(backend, "remembers", True)}

    def first(entry: ScheduleEntry, start: datetime) -> datetime | None:
        since = entry.has_ticks_since(now)
        if entry.task.backend in forgetful:
            return next_tick(entry, max(start, since or start))
        return entry.misfire.first(entry.trigger, start, since)

    return first
