"""Workflows and batches, and their jobs, as pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from ....core.job import Job
from ....jobs.operations.batches.listing import WINDOW, followers_of, outcome_of
from ....jobs.operations.workflows.nodes import node_id, place_of
from ....jobs.page_parts.addresses import word
from ....jobs.page_parts.rows import row_of as job_row_of
from ....jobs.page_parts.stored_json import decoded, hidden, pretty
from ....jobs.presentation.age import elapsed
from ....jobs.presentation.numbers import number_text
from ....log.plain_text import one_line
from ....queues.records.batches import WORKFLOW, BatchRecord
from ...links import LINKS, batch_url, jobs_url, list_url
from .progress_bar import progress_bar

#: The most characters of a result that a table shows. A result with more than the second number is not read.
MOST_SHOWN, MOST_READ = 160, 10_000
#: The most names in a cell.
NAMES = 5
#: The names of the events after which callbacks are enqueued.
EVENTS: Mapping[str, Any] = {
    "success": _("When all have succeeded"),
    "failure": _("When one has not succeeded"),
    "finish": _("When all have ended"),
}


def window_text() -> str:
    """Return how many batches a page looks at, as a text."""
    return number_text(WINDOW)


def row_of(record: BatchRecord) -> dict[str, Any]:
    """Return a workflow or batch as a row of the list."""
    end, counts = record.finished_at, record.counts
    return {
        "record": record,
        "id": f"batch-{record.id}",
        "name": one_line(record.name),
        "is_workflow": record.kind == WORKFLOW,
        "outcome": outcome_of(record),
        "url": batch_url(record.id),
        "bar": progress_bar(counts),
        "took": elapsed((end - record.created_at).total_seconds()) if end is not None else "",
        "total": number_text(counts.total),
        "succeeded": number_text(counts.succeeded),
        "failed": number_text(counts.failed) if counts.failed else "",
        "cancelled": number_text(counts.cancelled) if counts.cancelled else "",
        "left": number_text(counts.left) if counts.left else "",
    }


def state_links(record: BatchRecord) -> Mapping[str, str]:
    """Return the addresses of the lists of its jobs, by state."""
    here = word("workflow" if record.kind == WORKFLOW else "batch", record.id)
    states = {"succeeded": "done", "failed": "failed", "cancelled": "cancelled", "running": "running"}
    return {name: jobs_url(f"{here} status:{state}") for name, state in states.items()} | {
        "all": jobs_url(here),
        "left": jobs_url(f"{here} status:waiting,scheduled,retrying,running"),
    }


def followers(record: BatchRecord) -> list[tuple[str, str, str]]:
    """Return for each callback its event, the path of its task, and the address of the list of that task's jobs."""
    return [
        (str(EVENTS.get(event, one_line(event))), one_line(path), list_url(("task", path)) if path else "")
        for event, path in followers_of(record).items()
    ]


def job_rows(jobs: Sequence[Job], now: datetime) -> list[dict[str, Any]]:
    """Return some jobs of a workflow or batch as rows of a table."""
    return [_job_row(job, now) for job in jobs]


def _job_row(job: Job, now: datetime) -> dict[str, Any]:
    place = place_of(job)
    after = place.after if place else ()
    return {
        "row": job_row_of(job, now, LINKS, has_aliases=False),
        "id": f"node-{job.id}",
        "node": one_line(place.name) if place else "",
        "after": [(one_line(name), LINKS.job_url(node_id(str(job.batch), name))) for name in after[:NAMES]],
        "more_after": max(0, len(after) - NAMES),
        "on_failed": place.on_failed if place and after else "",
        "result": _result(job),
    }


def _result(job: Job) -> str:
    """Return the return value of a job, cut to what fits."""
    text = job.return_value
    if not text or text == "null":
        return ""
    if len(text) > MOST_READ:
        return "…"
    shown = one_line(pretty(hidden(decoded(text))))
    return shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}…"
