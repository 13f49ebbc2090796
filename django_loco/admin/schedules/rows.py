"""The rows of schedules in the admin, with their next run, last run and state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from ...core.job import utcnow
from ...log.safe import get_logger
from ...scheduler.api.history import LastRun, last_runs
from ...scheduler.api.operating import name_of, source_of, target_of
from ...scheduler.api.upcoming import Upcoming, upcoming_of
from ...scheduler.entry import Problem, ScheduleEntry
from ...scheduler.sources.database import Pause

logger = get_logger("django_loco.scheduler")

#: The number of next runs that are shown for a schedule.
RUNS = 5
NOTHING = "-"
#: A word for each status of a job.
STATUS_TEXTS: Mapping[str, Promise] = {
    "READY": gettext_lazy("ready"),
    "RUNNING": gettext_lazy("running"),
    "FAILED": gettext_lazy("failed"),
    "SUCCESSFUL": gettext_lazy("succeeded"),
}


class ScheduleRow(NamedTuple):
    """A schedule in a list. A schedule that is off has a ``problem`` instead of most other values."""

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
        """Whether it is paused."""
        return self.pause is not None and self.pause.since is not None

    @property
    def when(self) -> str:
        """The schedule in words, and below the text as it is written."""
        if self.upcoming is None:
            return NOTHING
        written = [self.upcoming.schedule] if self.upcoming.schedule != self.upcoming.words else []
        details = " · ".join([*written, self.upcoming.zone] if self.upcoming.zone else written)
        return format_html('{}<div class="quiet">{}</div>', self.upcoming.words, details)

    @property
    def next_run(self) -> str:
        """The time of the next run, on the wall clock of the schedule."""
        if self.upcoming is None or self.upcoming.after or self.is_paused:
            return NOTHING
        return format_moment(self.upcoming.next_runs[0]) if self.upcoming.next_runs else _("never again")

    @property
    def last_run(self) -> str:
        """The time of the last run, and the status of its job."""
        if self.last is None:
            return NOTHING
        at = format_moment(timezone.localtime(self.last.at))
        status = STATUS_TEXTS.get(self.last.status, self.last.status)
        return format_html('{}<div class="quiet loco-{}">{}</div>', at, self.last.status.lower(), status)

    @property
    def state(self) -> str:
        """On, paused or off, and why."""
        if self.problem:
            off = pgettext("schedule", "Off")
            return format_html('<b class="loco-off">{}</b><div class="quiet">{}</div>', off, self.problem)
        if self.pause is None or self.pause.since is None:
            return pgettext("schedule", "On")
        since = format_moment(timezone.localtime(self.pause.since))
        if self.pause.by:
            since = _("%(time)s by %(user)s") % {"time": since, "user": self.pause.by}
        return format_html('<b class="loco-paused">{}</b><div class="quiet">{}</div>', _("Paused"), since)


def rows_of(found: Iterable[ScheduleEntry | Problem], paused: Mapping[str, Pause]) -> list[ScheduleRow]:
    """Return the rows of schedules and problems, in their order."""
    items = list(found)
    try:
        last = last_runs([item for item in items if isinstance(item, ScheduleEntry)])
    except Exception:
        logger.exception("The last runs of schedules cannot be shown")
        last = {}
    return [_row_or_problem(item, last, paused) for item in items]


def _row_or_problem(
    item: ScheduleEntry | Problem, last: Mapping[str, LastRun], paused: Mapping[str, Pause]
) -> ScheduleRow:
    """Return the row of ``item``, or a row with the error: it must not hide the others."""
    try:
        row = _row(item, last, paused)
        for text in (row.when, row.next_run, row.last_run, row.state, row.runs):
            text.encode()
    except Exception as error:
        logger.exception("Schedule %r cannot be shown", name_of(item))
        place = "database" if isinstance(item, Problem) else source_of(item)
        return ScheduleRow(name_of(item), place, problem=_("It cannot be shown: %(error)s") % {"error": repr(error)})
    return row


def _row(item: ScheduleEntry | Problem, last: Mapping[str, LastRun], paused: Mapping[str, Pause]) -> ScheduleRow:
    if isinstance(item, Problem):
        return ScheduleRow(item.schedule, "", problem=f"{item.message} {item.hint}")
    row = upcoming_of(item, 1, utcnow())
    return ScheduleRow(item.name, source_of(item), "", target_of(item), row, last.get(item.name), paused.get(item.name))


def next_runs(entry: ScheduleEntry) -> dict[str, Any]:
    """Return the preview of ``entry``: its words and its next runs."""
    row = upcoming_of(entry, RUNS, utcnow())
    written = "" if row.schedule == row.words else row.schedule
    return {
        "words": row.words,
        "written": written,
        "zone": row.zone,
        "runs": [format_moment(run) for run in row.next_runs],
    }


def format_moment(moment: datetime) -> str:
    """Format ``moment`` to the second, in its own time zone."""
    return f"{date_format(moment, 'DATE_FORMAT')}, {moment:%H:%M:%S}"
