"""Compute when a schedule would fire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from ..core.validation import short
from ..exceptions import LocoConfigurationError
from ..scheduler.api.control import registry_with
from ..scheduler.entry import ScheduleEntry

#: The most ticks that are returned.
MAX_TICKS = 100_000


def due(schedule: str | ScheduleEntry, between: tuple[datetime, datetime]) -> list[datetime]:
    """Return the times at which ``schedule`` would fire between the moments ``between``. The second moment is excluded.

    ``schedule`` is the name of a schedule in code, settings or the database, or an entry of a registry. ``between`` is
    a pair of aware datetimes. The times are aware: in the time zone of the schedule, or in ``TIME_ZONE`` for an
    interval. The random delay of ``jitter`` is not included, and pauses are ignored.

    Raises ``LocoConfigurationError`` for a schedule that does not exist, is off because of an error, or runs after
    another one; for moments that are naive or in the wrong order; and for more than 100,000 times.
    """
    begin, end = _moments(between)
    entry = schedule if isinstance(schedule, ScheduleEntry) else registry_with(schedule).entry(schedule)
    if entry.after is not None:
        raise LocoConfigurationError(
            f"the schedule {entry.name!r} has no times of its own: it runs after {entry.after!r}. Ask for that one."
        )
    zone = entry.trigger.zone or timezone.get_default_timezone()
    found: list[datetime] = []
    tick = entry.trigger.next_after(begin.astimezone(UTC) - timedelta.resolution)
    while tick is not None and tick < end:
        if len(found) == MAX_TICKS:
            raise LocoConfigurationError(
                f"the schedule {entry.name!r} fires more than {MAX_TICKS:,} times in this period. Choose a shorter one."
            )
        found.append(tick.astimezone(zone))
        tick = entry.trigger.next_after(tick)
    return found


def _moments(between: Any) -> tuple[datetime, datetime]:
    is_pair = isinstance(between, tuple | list) and len(between) == 2  # noqa: PLR2004 - a pair has two
    if not is_pair or not all(isinstance(moment, datetime) and timezone.is_aware(moment) for moment in between):
        raise LocoConfigurationError(f"between is {short(between)}; it must be a pair of aware datetimes.")
    begin, end = between
    if begin > end:
        raise LocoConfigurationError(f"between ends at {end}, which is before it begins at {begin}.")
    return begin, end
