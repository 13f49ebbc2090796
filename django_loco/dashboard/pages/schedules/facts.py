"""Reads the schedules of all sources, their last jobs and their next runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from ....core.job import READY, RUNNING, utcnow
from ....jobs.control.unserved import is_scheduler_missing
from ....log.safe import get_logger
from ....models import Schedule
from ....scheduler import Problem, ScheduleEntry, Tick, Upcoming
from ....scheduler.api.control import current
from ....scheduler.api.history import histories
from ....scheduler.api.operating import name_of
from ....scheduler.api.upcoming import upcoming_of
from ....scheduler.sources.database import Pause
from ....scheduler.sources.tables import has_database

logger = get_logger("django_loco.dashboard")

#: The number of schedules on a page, of last jobs that are read for each, and of next runs that are drawn.
PAGE, TICKS, RUNS = 25, 12, 60
#: A tick without a job counts as late after this time. Schedulers check every second, and start within a few seconds.
LATE = timedelta(minutes=1)
#: The statuses of jobs that have not ended.
WAITING = (str(READY), str(RUNNING))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRead:
    """One schedule. A schedule that is off has a ``problem``, and most other values are missing."""

    name: str
    depth: int = 0
    """How many schedules run before it in its chain of ``after`` options."""

    problem: Problem | None = None
    entry: ScheduleEntry | None = None
    upcoming: Upcoming | None = None
    ticks: Sequence[Tick] = ()
    """Its last jobs, the newest first."""

    pause: Pause | None = None
    late_since: datetime | None = None
    """The oldest due tick without a job."""

    pk: int | None = None
    """The primary key, for a schedule of the database."""

    @property
    def is_paused(self) -> bool:
        """Whether it is paused now."""
        return self.pause is not None and self.pause.since is not None

    @property
    def will_fire(self) -> bool:
        """Whether it has a next run, if a scheduler is alive."""
        return self.upcoming is not None and bool(self.upcoming.next_runs) and not self.is_paused


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulesRead:
    """A page of schedules."""

    at: datetime
    schedules: Sequence[ScheduleRead]
    total: int
    number: int
    """The number of the page, starting at 1."""

    has_more: bool
    is_scheduler_missing: bool
    """Whether schedules of the page wait for a scheduler, and none is alive."""


def read(words: str = "", number: int = 1) -> SchedulesRead:
    """Return a page of the schedules whose names contain ``words``. Raises ``LocoConfigurationError``.

    A schedule that runs after another one is listed below it.
    """
    now, found = utcnow(), current()
    items: list[ScheduleEntry | Problem] = [*found.registry.entries(), *found.registry.problems()]
    ordered = [pair for pair in in_order(items) if words.lower() in name_of(pair[0]).lower()]
    number = min(max(1, number), max(1, -(-len(ordered) // PAGE)))
    shown = ordered[(number - 1) * PAGE : number * PAGE]
    entries = [item for item, _ in shown if isinstance(item, ScheduleEntry)]
    ticks = histories(entries, TICKS)
    keys = _keys([name_of(item) for item, _ in shown if _is_stored(item)])

    def shown_of(item: ScheduleEntry | Problem) -> ScheduleRead:
        if isinstance(item, Problem):
            return ScheduleRead(name=item.schedule, problem=item)
        return _of_entry(item, now, ticks.get(item.name, ()), found.pauses.get(item.name))

    schedules = [replace(shown_of(item), depth=depth, pk=keys.get(name_of(item))) for item, depth in shown]
    return SchedulesRead(
        at=now,
        schedules=schedules,
        total=len(ordered),
        number=number,
        has_more=number * PAGE < len(ordered),
        is_scheduler_missing=any(each.will_fire for each in schedules) and is_scheduler_missing(),
    )


def in_order(items: Iterable[ScheduleEntry | Problem]) -> Iterator[tuple[ScheduleEntry | Problem, int]]:
    """Yield the schedules by name, each with its depth. A schedule is followed by the schedules that run after it."""
    by_name = sorted(items, key=name_of)
    known = {item.name for item in by_name if isinstance(item, ScheduleEntry)}
    then: dict[str, list[ScheduleEntry]] = {}
    roots: list[ScheduleEntry | Problem] = []
    for item in by_name:
        if isinstance(item, ScheduleEntry) and item.after in known:
            then.setdefault(str(item.after), []).append(item)
        else:
            roots.append(item)
    left = [(item, 0) for item in reversed(roots)]
    while left:
        item, depth = left.pop()
        yield item, depth
        left += [(each, depth + 1) for each in reversed(then.get(name_of(item), ()))]


def late_since(entry: ScheduleEntry, ticks: Sequence[Tick], pause: Pause | None, now: datetime) -> datetime | None:
    """Return the first tick that should have a job by now and has none; ``None`` if all is well.

    Nothing is known about a schedule without jobs, or about the time before the last change of a row. If a schedule
    does not overlap, its ticks are skipped or postponed while one of its jobs waits or runs. Skipped ticks get no job
    later.
    """
    last = max((tick.due for tick in ticks if tick.due is not None), default=None)
    if last is None or entry.after or (entry.overlap != "allow" and any(tick.status in WAITING for tick in ticks)):
        return None
    if entry.overlap == "skip":
        last = max([last, *(tick.ended for tick in ticks if tick.ended is not None)])
    if pause is not None and pause.until is not None:
        last = max(last, pause.until)
    if entry.changed_at is not None:
        last = max(last, min(entry.changed_at, now))
    due = entry.trigger.next_after(last)
    is_skipped = due is None or (pause is not None and pause.covers(due))
    return due if due is not None and not is_skipped and due < now - LATE else None


def next_runs(upcoming: Upcoming | None, until: datetime) -> list[datetime]:
    """Return the runs of ``upcoming`` up to ``until``."""
    return [run for run in upcoming.next_runs if run <= until] if upcoming else []


def _of_entry(entry: ScheduleEntry, now: datetime, ticks: Sequence[Tick], pause: Pause | None) -> ScheduleRead:
    """Return a schedule. If its ticks cannot be computed, it gets a problem, so that it does not hide the others."""
    try:
        return ScheduleRead(
            name=entry.name,
            entry=entry,
            upcoming=upcoming_of(entry, RUNS, now),
            ticks=ticks,
            pause=pause,
            late_since=late_since(entry, ticks, pause, now),
        )
    except Exception as error:
        logger.exception("Schedule %r cannot be shown", entry.name)
        return ScheduleRead(name=entry.name, problem=Problem(f"It cannot be shown: {error!r}", "", entry.name))


def _is_stored(item: ScheduleEntry | Problem) -> bool:
    """Return whether a schedule may be a row of the database."""
    return isinstance(item, Problem) or str(item.location) == "database"


def _keys(names: Sequence[str]) -> Mapping[str, int]:
    """Return the primary keys of schedules of the database, by name."""
    if not has_database() or not names:
        return {}
    return dict(islice(Schedule.objects.filter(name__in=names).values_list("name", "pk"), len(names)))
