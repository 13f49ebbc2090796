"""Each schedule as the page of schedules shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ....core.job import FAILED, RUNNING, SUCCESSFUL
from ....jobs.presentation.age import age
from ....jobs.presentation.numbers import number_text
from ....log.plain_text import one_line
from ....scheduler import Tick
from ....scheduler.api.operating import source_of, target_of
from ...charts.durations import coarse
from ...frame import is_elsewhere
from ...links import job_url, list_url, schedule_url
from .facts import RUNS, ScheduleRead, SchedulesRead, next_runs
from .timeline import SPANS, Span, timeline

#: The CSS class of a job's dot, by the job's status. All other jobs wait.
DOTS = {str(SUCCESSFUL): "succeeded", str(FAILED): "failed", str(RUNNING): "running"}
#: A job that was enqueued later than this many seconds after its tick is marked.
LATE_SECONDS = 60.0
#: The deepest indentation.
DEEPEST = 4


def parts_of(read: SchedulesRead, span: Span, words: str, *, may_change: bool) -> dict[str, dict[str, Any]]:
    """Return the context of each part by its name."""
    query = urlencode({name: value for name, value in (("q", words), ("p", read.number)) if value not in ("", 1)})
    return {
        "unserved": {"is_scheduler_missing": read.is_scheduler_missing},
        "list": {
            "rows": [_row(each, span, read.at, may_change=may_change) for each in read.schedules],
            "heading": ngettext("%(total)s schedule", "%(total)s schedules", read.total)
            % {"total": number_text(read.total)},
            "words": words,
            "may_change": may_change,
            "chosen": span,
            "ranges": SPANS,
            "range_more": f"&{query}" if query else "",
            "previous_query": _page(span, words, read.number - 1) if read.number > 1 else "",
            "next_query": _page(span, words, read.number + 1) if read.has_more else "",
        },
    }


def _page(span: Span, words: str, number: int) -> str:
    return "?" + urlencode({"range": span.name, "q": words, "p": number})


def _row(read: ScheduleRead, span: Span, now: datetime, *, may_change: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": f"s-{read.name}",
        "name": read.name,
        "shown_name": one_line(read.name),
        "depth": min(read.depth, DEEPEST),
        "edit_url": schedule_url(read.pk) if read.pk is not None and may_change else "",
    }
    if read.problem is not None:
        return row | {"problem": one_line(f"{read.problem.message} {read.problem.hint}")}
    entry, upcoming = read.entry, read.upcoming
    if entry is None or upcoming is None:  # nothing else can be shown
        return row
    next_run = upcoming.next_runs[0] if upcoming.next_runs and not read.is_paused else None
    runs = [] if read.is_paused else next_runs(upcoming, now + span.length)
    return row | {
        "words": one_line(upcoming.words),
        "written": "" if upcoming.schedule == upcoming.words else one_line(upcoming.schedule),
        "zone": upcoming.zone,
        "target": one_line(target_of(entry)),
        "source": one_line(source_of(entry)),
        "url": list_url(("task", upcoming.task)),
        "after": one_line(upcoming.after) if upcoming.after else "",
        "next": next_run,
        "is_elsewhere": next_run is not None and bool(upcoming.zone) and is_elsewhere(next_run),
        "is_over": not upcoming.next_runs and not upcoming.after,
        "timeline": timeline(runs, span, now, _label(len(runs), span)),
        "is_paused": read.is_paused,
        "paused_by": one_line(read.pause.by) if read.pause and read.is_paused else "",
        "late": coarse((now - read.late_since).total_seconds()) if read.late_since else "",
        "dots": [_dot(tick) for tick in reversed(read.ticks)],
        "ticks": [_tick(tick) for tick in read.ticks],
    }


def _label(number: int, span: Span) -> str:
    text = ngettext("%(number)s run within %(span)s", "%(number)s runs within %(span)s", number)
    return text % {"number": f"{number}+" if number >= RUNS else number, "span": span.name}


def _kind(tick: Tick) -> tuple[str, str]:
    """Return the CSS class of a job's dot, and the word for it."""
    words = {"succeeded": _("succeeded"), "failed": _("failed"), "running": _("running"), "waiting": _("waits")}
    kind = DOTS.get(tick.status, "waiting")
    return kind, words[kind]


def _dot(tick: Tick) -> SafeString:
    # Not a template, because there are hundreds of dots, and a template would take most of the page's time.
    kind, word = _kind(tick)
    text, url = f"{word}, {_clock(tick.due or tick.fired)}", job_url(tick.job)
    if not url:
        return format_html('<span class="dot {}" title="{}"><span class="hidden">{}</span></span>', kind, text, word)
    link = '<a id="dot-{}" class="dot {}" href="{}" title="{}"><span class="hidden">{}</span></a>'
    return format_html(link, tick.job, kind, url, text, text)


def _tick(tick: Tick) -> dict[str, Any]:
    late = tick.late is not None and tick.late > LATE_SECONDS
    return {
        "job": tick.job,
        "url": job_url(tick.job),
        "word": _kind(tick)[1],
        "name": _clock(tick.due) if tick.due else _without_time(tick.tick),
        "fired": _clock(tick.fired),
        "late": age(tick.late) if late and tick.late is not None else "",
        "ended": _clock(tick.ended) if tick.ended else "-",
        "error": one_line(tick.error.rpartition(".")[2]) or "-",
    }


def _without_time(member: str) -> str:
    """Return what caused a job that has no tick: a person, or a release."""
    return _("run by hand") if member.startswith("run ") else one_line(member)


def _clock(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}"
