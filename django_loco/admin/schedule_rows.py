"""How schedules are shown: each with its next run, its last one, and whether it runs at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html

from ..core.job import utcnow
from ..log.safe import get_logger
from ..scheduler.api.history import LastRun, last_runs
from ..scheduler.api.upcoming import Upcoming, upcoming_of
from ..scheduler.entry import Entry, Problem
from ..scheduler.sources.database import Pause, pauses
from ..scheduler.sources.targets import COMMAND, SHELL

logger = get_logger("django_loco.scheduler")

#: How many of the next runs are shown of one schedule.
RUNS = 5
NOTHING = "-"


class ScheduleRow(NamedTuple):
    """A schedule in a list. One that is off has a ``problem`` instead of most of the rest."""

    name: str
    source: str
    problem: str = ""
    runs: str = ""
    """A task, or a management command with its arguments."""

    upcoming: Upcoming | None = None
    last: LastRun | None = None
    pause: Pause | None = None

    @property
    def is_paused(self) -> bool:
        """Whether its ticks are left out."""
        return self.pause is not None and self.pause.since is not None

    @property
    def when(self) -> str:
        """In words, and below that as it is written."""
        if self.upcoming is None:
            return NOTHING
        written = [self.upcoming.schedule] if self.upcoming.schedule != self.upcoming.words else []
        details = " · ".join([*written, self.upcoming.zone] if self.upcoming.zone else written)
        return format_html('{}<div class="quiet">{}</div>', self.upcoming.words, details)

    @property
    def next_run(self) -> str:
        """Its time, on the wall clock of the schedule."""
        if self.upcoming is None or self.upcoming.after or self.is_paused:
            return NOTHING
        return told(self.upcoming.next_runs[0]) if self.upcoming.next_runs else "never again"

    @property
    def last_run(self) -> str:
        """Its time, and what has become of its job."""
        if self.last is None:
            return NOTHING
        at = told(timezone.localtime(self.last.at))
        return format_html('{}<div class="quiet loco-{}">{}</div>', at, self.last.status.lower(), self.last.status)

    @property
    def state(self) -> str:
        """On, paused or off, and why."""
        if self.problem:
            return format_html('<b class="loco-off">Off</b><div class="quiet">{}</div>', self.problem)
        if self.pause is None or self.pause.since is None:
            return "On"
        since = told(timezone.localtime(self.pause.since))
        by = f" by {self.pause.by}" if self.pause.by else ""
        return format_html('<b class="loco-paused">Paused</b><div class="quiet">{}{}</div>', since, by)


def shown(found: Iterable[Entry | Problem], known: Mapping[str, Pause]) -> list[ScheduleRow]:
    """Return them as they are shown, in their order."""
    items = list(found)
    try:
        last = last_runs([item for item in items if isinstance(item, Entry)])
    except Exception:
        logger.exception("The last runs of schedules cannot be shown")
        last = {}
    return [_whole(item, last, known) for item in items]


def _whole(item: Entry | Problem, last: Mapping[str, LastRun], known: Mapping[str, Pause]) -> ScheduleRow:
    """Return ``item`` as it is shown; whatever is wrong with it, the others are shown, too."""
    try:
        made = _shown(item, last, known)
        for text in (made.when, made.next_run, made.last_run, made.state, made.runs):
            text.encode()
    except Exception as error:
        logger.exception("Schedule %r cannot be shown", name_of(item))
        place = "database" if isinstance(item, Problem) else _source(item)
        return ScheduleRow(name_of(item), place, problem=f"It cannot be shown: {error!r}")
    return made


def _shown(item: Entry | Problem, last: Mapping[str, LastRun], known: Mapping[str, Pause]) -> ScheduleRow:
    if isinstance(item, Problem):
        return ScheduleRow(item.schedule, "", problem=f"{item.message} {item.hint}")
    row = upcoming_of(item, 1, utcnow())
    return ScheduleRow(item.name, _source(item), "", _target(item), row, last.get(item.name), known.get(item.name))


def _source(entry: Entry) -> str:
    base = getattr(settings, "BASE_DIR", None)
    return str(entry.location).removeprefix(f"{base}{os.sep}")


def _target(entry: Entry) -> str:
    is_ours = entry.task.module_path in (COMMAND, SHELL)
    return " ".join(map(str, entry.args)) if is_ours else entry.task.module_path


def paused(name: str) -> ScheduleRow:
    """Return whether the schedule ``name`` is paused, and nothing else of it."""
    return ScheduleRow(name, "", pause=pauses().get(name))


def next_runs(entry: Entry) -> dict[str, Any]:
    """Return what the preview of ``entry`` shows: in words, and the next runs."""
    row = upcoming_of(entry, RUNS, utcnow())
    written = "" if row.schedule == row.words else row.schedule
    return {"words": row.words, "written": written, "zone": row.zone, "runs": [told(run) for run in row.next_runs]}


def told(moment: datetime) -> str:
    """Return ``moment`` to the second, on the wall clock that it has."""
    return f"{date_format(moment, 'DATE_FORMAT')}, {moment:%H:%M:%S}"


def named(found: Iterable[Entry | Problem], words: str) -> list[Entry | Problem]:
    """Return those whose name has ``words`` in it, sorted by name."""
    items = sorted(found, key=name_of)
    return [item for item in items if words.lower() in name_of(item).lower()]


def name_of(item: Entry | Problem) -> str:
    """Return the name of the schedule."""
    return item.schedule if isinstance(item, Problem) else item.name
