"""Lists schedules with their next runs, in words and as times."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, tzinfo
from typing import NamedTuple

from django.utils import timezone

from ...core.job import utcnow
from ...log.safe import get_logger
from ..entry import ScheduleEntry
from ..registry import Registry

logger = get_logger("django_loco.scheduler")


class Upcoming(NamedTuple):
    """A schedule in a list."""

    name: str
    schedule: str
    """A cron expression, or words if there is none."""

    words: str
    """The schedule in English."""

    zone: str
    """The time zone; ``""`` for an interval, because it follows no wall clock."""

    task: str
    next_runs: tuple[datetime, ...]
    """Aware, in ``zone``; in ``TIME_ZONE`` for an interval."""

    tags: tuple[str, ...]
    source: str
    """Where it was declared: a file and its line, a setting, or ``"database"``."""

    paused: bool = False
    """Whether it is paused."""

    after: str | None = None
    """The schedule that this one runs after; ``None`` if it has ticks of its own."""


def upcoming_of(entry: ScheduleEntry, runs: int, after: datetime) -> Upcoming:
    """Return ``entry`` with its first ``runs`` ticks after ``after``."""
    zone = entry.trigger.zone or timezone.get_default_timezone()
    return Upcoming(
        name=entry.name,
        schedule=str(entry.trigger),
        words=entry.trigger.words,
        zone=str(entry.trigger.zone or ""),
        task=entry.task.module_path,
        next_runs=tuple(_next_runs(entry, runs, after, zone)),
        tags=entry.tags,
        source=str(entry.location),
        after=entry.after,
    )


def upcoming_in(
    registry: Registry, runs: int = 1, *, after: datetime | None = None, tags: Collection[str] = ()
) -> list[Upcoming]:
    """Return the schedules of ``registry`` sorted by name, each with its first ``runs`` ticks after ``after``.

    ``after`` is now by default. With ``tags``, only the schedules that have one of the tags are returned. A schedule
    whose ticks cannot be computed is logged and left out.
    """
    start = after or utcnow()
    found: list[Upcoming] = []
    for entry in sorted(registry.entries(tags), key=lambda entry: entry.name):
        try:
            found.append(upcoming_of(entry, runs, start))
        except Exception:
            # An error of one schedule must not hide the others.
            logger.exception("Schedule %r cannot be shown", entry.name)
    return found


def _next_runs(entry: ScheduleEntry, runs: int, after: datetime, zone: tzinfo) -> Iterator[datetime]:
    for _ in range(runs):
        if (tick := entry.trigger.next_after(after)) is None:
            return
        yield entry.run_at(tick).astimezone(zone)
        after = tick
