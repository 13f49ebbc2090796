"""Prints the schedules for ``loco_scheduler --list`` and ``--preview``, as a table or as JSON."""

from __future__ import annotations

import json
import re
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice, zip_longest

from django.core.management.base import CommandError
from django.utils import timezone

from ..core.job import utcnow
from ..core.validation import did_you_mean, is_seconds
from ..log.plain_text import counted, one_line
from ..scheduler.api.control import current
from ..scheduler.api.history import LastRun, last_runs
from ..scheduler.api.upcoming import Upcoming
from ..scheduler.dispatch.due_heap import preview
from ..scheduler.entry import ScheduleEntry

#: The number of runs shown for each schedule, and the maximum of a preview as a table.
RUNS = 5
MAX_RUNS = 1000
HEADINGS = ("NAME", "SCHEDULE", "IN WORDS", "ZONE", "NEXT RUNS", "LAST RUN", "TAGS", "SOURCE")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def length(text: str) -> timedelta:
    """Parse a length of time such as ``24h``, ``90m`` or ``7d``. Raises ``ArgumentTypeError``."""
    match = re.fullmatch(r"(\d{1,6})([smhdw])", text, re.ASCII)
    found = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta(0)
    if not is_seconds(found.total_seconds()):
        raise ArgumentTypeError(f"{text!r} is not a length of time. Write 90m, 24h or 7d; at most a hundred years.")
    return found


def require_known(tags: Sequence[str]) -> None:
    """Raise ``CommandError`` if no schedule has one of ``tags``."""
    known = sorted({tag for entry in current().registry.entries() for tag in entry.tags}) if tags else []
    for tag in tags:
        if tag not in known:
            raise CommandError(f"No schedule has the tag {tag!r}.{did_you_mean(tag, known)}")


def as_list(tags: Sequence[str], form: str) -> Iterator[str]:
    """Yield the lines of ``--list``."""
    schedules = current()
    found = schedules.upcoming(RUNS, tags=tags)
    wrong = sum(problem.is_certain for problem in schedules.registry.problems())
    last = last_runs(schedules.registry.entries(tags))
    if form == "json":
        rows = [row._asdict() | {"last_run": (run := last.get(row.name)) and run._asdict()} for row in found]
        yield json.dumps(rows, indent=2, default=datetime.isoformat)
    elif found:
        yield from table([HEADINGS, *(_cells(row, last.get(row.name)) for row in found)])
    elif wrong:
        yield f"No schedule can run: {counted(wrong, 'is', 'are')} wrong, as the list below shows."
    else:
        yield "There are no schedules. Declare them in the schedules.py of an app, in LOCO['SCHEDULE'] or in the admin."


def as_preview(period: timedelta, tags: Sequence[str], form: str) -> Iterator[str]:
    """Yield the lines of ``--preview``."""
    now = utcnow()
    schedules = current()
    words = {row.name: row.words for row in schedules.upcoming(0, tags=tags) if not row.paused}
    entries = [entry for entry in schedules.registry.entries(tags) if entry.name in words]
    found = preview(entries, now, now + period)
    if form == "json":
        yield from _json_list({"name": entry.name, "at": _there(tick, entry).isoformat()} for tick, entry in found)
        return
    ticks = list(islice(found, MAX_RUNS + 1))
    yield from table((clock(_there(tick, entry)), entry.name, words[entry.name]) for tick, entry in ticks[:MAX_RUNS])
    if len(ticks) > MAX_RUNS:
        yield "... and more. To see all, use a shorter time or --tag."
    elif not ticks:
        yield "No schedule is due within this time."


def _json_list(rows: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """Yield the lines of a JSON list one by one: there may be a run each second for years, too many to collect."""
    before = "["
    for row in rows:
        yield f"{before} {json.dumps(row)}"
        before = ","
    yield "]" if before == "," else "[]"


def _there(tick: datetime, entry: ScheduleEntry) -> datetime:
    return entry.run_at(tick).astimezone(entry.trigger.zone or timezone.get_default_timezone())


def _cells(row: Upcoming, last: LastRun | None) -> tuple[str | Sequence[str], ...]:
    runs = ["paused"] if row.paused else [clock(run) for run in row.next_runs] or ["-" if row.after else "never again"]
    zone = row.next_runs[0].tzinfo if row.next_runs else None
    last_run = [clock(last.at.astimezone(zone)), f"{last.status} {last.job}"] if last else "-"
    tags = ", ".join(row.tags)
    return row.name, row.schedule, row.words, row.zone or "-", runs, last_run, tags or "-", [row.source, row.task]


def clock(moment: datetime) -> str:
    """Format ``moment`` in its own time zone."""
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}"


def table(rows: Iterable[Sequence[str | Sequence[str]]]) -> Iterator[str]:
    """Yield the lines of ``rows``. A cell may have several lines."""
    lines = [line for row in rows for line in _lines(row)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()


def _lines(row: Sequence[str | Sequence[str]]) -> Iterator[tuple[str, ...]]:
    cells = ([cell] if isinstance(cell, str) else cell for cell in row)
    return zip_longest(*(map(one_line, cell) for cell in cells), fillvalue="")
