"""Prints the latest ticks of a schedule for ``loco_scheduler --history``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, tzinfo

from django.utils import timezone

from ..scheduler.api.control import registry_with
from ..scheduler.api.history import Tick, history
from .schedules import clock, table

HEADINGS = ("DUE", "FIRED", "LATE", "STATUS", "ENDED", "JOB", "ERROR")


def as_history(name: str, form: str) -> Iterator[str]:
    """Yield the lines of ``--history``. Raises ``LocoConfigurationError`` and ``QueueUnavailable``."""
    found = history(name)
    zone = registry_with(name).entry(name).trigger.zone or timezone.get_default_timezone()
    if form == "json":
        yield json.dumps([tick._asdict() for tick in found], indent=2, default=datetime.isoformat)
    elif found:
        yield from table([HEADINGS, *(_cells(tick, zone) for tick in found)])
    else:
        yield f"The queue has no jobs of schedule {name!r}."


def _cells(tick: Tick, zone: tzinfo) -> tuple[str, ...]:
    due = clock(tick.due.astimezone(zone)) if tick.due else "by hand" if tick.tick.startswith("run ") else tick.tick
    late = "-" if tick.late is None else f"{tick.late:.1f} s"
    ended = clock(tick.ended.astimezone(zone)) if tick.ended else "-"
    return due, clock(tick.fired.astimezone(zone)), late, tick.status, ended, tick.job, tick.error or "-"
