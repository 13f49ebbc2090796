"""Counts the schedules that are on, cheaply enough to do it each time a page is shown."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from django.db.models import Count, Q, Value

from ...core.job import utcnow
from ..registry import default
from ..sources import tables

#: The number of schedules of the code whose next ticks are looked for.
MAX_COUNTED = 1_000
#: The key of the number of rows that are on, beside the names of paused schedules. No schedule has an empty name.
_ROWS = ""


def count_on() -> int:
    """Return how many schedules will fire if a scheduler runs: they are neither paused nor over.

    Schedules that run after others are left out. An invalid row of the database is counted, too. At most
    ``MAX_COUNTED`` of the code's schedules are counted. Takes one query, or none in a project without a database.
    Raises ``DatabaseError``.
    """
    paused = _paused_and_rows()
    now = utcnow()
    entries = (entry for entry in default.entries() if entry.name not in paused)
    going_on = sum(entry.trigger.next_after(now) is not None for entry in islice(entries, MAX_COUNTED))
    return going_on + paused.get(_ROWS, 0)


def _paused_and_rows() -> Mapping[str, int]:
    """Return the names of paused schedules, and under ``_ROWS`` the number of the database's schedules that are on."""
    if not tables.has_database():
        return {}
    now = tables.now()
    pauses = tables.model("ScheduleState").objects.filter(paused_at__isnull=False)
    rows = tables.model("Schedule").objects.filter(
        Q(at__isnull=True) | Q(at__gt=now), Q(end__isnull=True) | Q(end__gt=now), after=""
    )
    counted = (
        rows.exclude(name__in=pauses.values("name"))
        .order_by()
        .annotate(key=Value(_ROWS))
        .values("key")
        .annotate(number=Count("pk"))
        .values_list("key", "number")
    )
    paused = pauses.annotate(number=Value(1)).values_list("name", "number")
    try:
        with tables.require_tables():
            return dict(counted.union(paused, all=True).order_by())
    except tables.MissingTable:
        return {}
