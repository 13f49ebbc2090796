"""Everything that a page shows of one job: why it does not run, its arguments, times, attempts, errors and changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.utils import timezone
from django.utils.translation import gettext as _

from ...conf import loco_settings
from ...core.job import FOREVER, RETENTION, SUCCESSFUL, Job, aware, pending_wait, utcnow
from ...core.job.ageing import aged_priority
from ...core.job.limits import keys_of, name_of
from ...core.job.retention import kept_until
from ...core.serialization import cut
from ...log.plain_text import one_line, plain
from ...models import LocoJob
from ..language.words import id_of
from ..operations.batches.settling import batch_of
from ..operations.workflows.nodes import node_id, place_of, waits_for_nodes
from ..presentation.age import elapsed
from ..presentation.logs import logs_of
from ..presentation.numbers import number_text
from ..presentation.progress import JobProgress, progress_of
from ..presentation.reasons.reason import Reason
from ..presentation.reasons.why import why
from ..presentation.shown import shown_traceback, summary_of
from ..stores import aliases, backend_of
from .addresses import JobLinks, word
from .rows import JobRow, local_text, row_of
from .stored_json import MOST_BYTES, arguments_of, decoded, hidden, pretty

#: The number of entries of the admin's log that are shown.
MOST_ENTRIES = 20
#: The number of nodes of a workflow that are shown before a node.
MOST_NODES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A value of the job with its name."""

    label: str
    text: str
    url: str = ""
    """The address of the list of jobs with the same value, or of the page of the job that the value names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One of the times of a job."""

    label: str
    text: str
    since: str
    """The time since the moment before it."""

    is_ahead: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownError:
    """The error of an attempt."""

    number: int
    kind: str
    summary: str
    """Its class, and the first line of its message."""

    traceback: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """All that a page of a job shows."""

    row: JobRow
    path: str
    """The path of the task."""

    reasons: Sequence[Reason]
    progress: JobProgress | None
    """The progress that the job has reported; ``None``: none."""

    facts: Sequence[Fact]
    arguments: Sequence[tuple[str, str]]
    """Each with its name, or its place."""

    values: Sequence[tuple[str, str]]
    """The other JSON values of the job."""

    moments: Sequence[Moment]
    zone: str
    """The name of the time zone of all times."""

    workers: Sequence[str]
    """The worker of each attempt that has ended; empty for attempts that are not kept."""

    errors: Sequence[ShownError]
    """The newest first."""

    logs: Sequence[tuple[str, str]]
    """The logs of its last runs, each with a title. The newest run comes first."""

    entries: Sequence[tuple[datetime, str]]
    """The actions of people on the job: the time, and who has done what."""


def details_of(job: Job, links: JobLinks) -> Details:
    """Return what a page of ``job`` shows. Raises ``QueueUnavailable``, ``TaskResultDoesNotExist`` if it is gone."""
    now = utcnow()
    errors = [_error(number, error) for number, error in enumerate(job.errors, 1)]
    return Details(
        row=row_of(job, now, links, has_aliases=len(aliases()) > 1),
        path=one_line(job.task_path),
        reasons=why(job),
        progress=progress_of(job),
        facts=[*_facts(job, links)],
        arguments=[*_arguments(job)],
        values=[*_values(job)],
        moments=[*_moments(job, now)],
        zone=timezone.get_current_timezone_name(),
        workers=[one_line(worker) for worker in job.worker_ids],
        errors=errors[::-1],
        logs=[(run.title, cut(run.shown, MOST_BYTES, _("a page shows no more"))) for run in logs_of(job)][::-1],
        entries=entries_of(job),
    )


def entries_of(job: Job) -> list[tuple[datetime, str]]:
    """Return what people have done with ``job`` alone on pages, the newest first; nothing on a site without admin."""
    if not apps.is_installed("django.contrib.admin"):
        return []
    entries: Any = apps.get_model("admin", "LogEntry")
    types: Any = apps.get_model("contenttypes", "ContentType")
    content_type = types.objects.get_for_model(LocoJob, for_concrete_model=False)
    found = entries.objects.filter(content_type=content_type, object_id=job.id).select_related("user")
    return [
        (aware(entry.action_time), plain(f"{entry.user}: {entry.get_change_message()}"))
        for entry in found.order_by("-action_time")[:MOST_ENTRIES]
    ]


def _facts(job: Job, links: JobLinks) -> Iterator[Fact]:
    linked = [
        (_("Task"), "task", job.task_path),
        (_("Queue"), "queue", job.queue_name),
        (_("Alias"), "backend", job.backend),
        *((_("Tag"), "tag", tag) for tag in job.tags),
        (_("Worker"), "worker", job.worker_id),
        (_("Schedule"), "schedule", job.series),
        (_("Request"), "request", job.request_id),
        (_("Unique until %(state)s") % {"state": one_line(job.unique_until)}, "unique", job.unique_key),
    ]
    yield Fact(label=_("Id"), text=job.id)
    for label, name, value in linked:
        if value:
            yield Fact(label=label, text=one_line(value), url=links.list_url(word(name, str(value))))
    yield from _limits(job, links)
    yield from _membership(job, links)
    if job.parent:
        yield Fact(label=_("Parent"), text=one_line(job.parent), url=_parent_url(job, links))
    if job.started_at:
        url = links.list_url(word("parent", job.id))
        yield Fact(label=_("Children"), text=_("jobs that it has enqueued, if any"), url=url)
    yield Fact(label=_("Priority"), text=_priority(job))
    yield Fact(label=_("Kind"), text="async" if job.is_async else "sync")
    for name, option in _options(job).items():
        yield Fact(label=_("Option"), text=one_line(f"{name}={option!r}"))
    if job.key:
        yield Fact(label=_("Once-key"), text=one_line(job.key))
    yield Fact(label=_("Attempt"), text=number_text(job.attempt))
    if job.lost:
        yield Fact(label=_("Workers that died with it"), text=f"{job.lost}")


def _priority(job: Job) -> str:
    aged = aged_priority(job, utcnow(), loco_settings().AGEING)
    if aged == job.priority:
        return str(job.priority)
    return _("%(priority)s, counts as %(aged)s by now") % {"priority": job.priority, "aged": aged}


def _options(job: Job) -> dict[str, Any]:
    kept = {RETENTION: job.options[RETENTION]} if RETENTION in job.options else {}
    return {**job.overrides, **kept}


def _limits(job: Job, links: JobLinks) -> Iterator[Fact]:
    for key in filter(None, keys_of(job.limit_key or "")):
        url = links.limit_url(job.backend, name_of(key)) or links.list_url(word("limit", key))
        yield Fact(label=_("Limit"), text=one_line(key), url=url)


def _membership(job: Job, links: JobLinks) -> Iterator[Fact]:
    """Yield the workflow or batch of ``job``, and its place in the workflow."""
    place, batch_id = place_of(job), batch_of(job)
    if batch_id:
        is_followed = job.batch is None  # it was enqueued when the batch had finished
        label = _("Workflow") if place else _("Follows the batch") if is_followed else _("Batch")
        url = links.batch_url(batch_id) or links.list_url(word("workflow" if place else "batch", batch_id))
        yield Fact(label=label, text=one_line(batch_id), url=url)
    if place:
        yield Fact(label=_("Node"), text=one_line(place.name))
        for name in place.after[:MOST_NODES]:
            yield Fact(label=_("After node"), text=one_line(name), url=links.job_url(node_id(str(job.batch), name)))


def _parent_url(job: Job, links: JobLinks) -> str:
    """Return the address of the parent's page; empty if somebody has edited the store, so that it is no id."""
    try:
        return links.job_url(id_of(job.parent))
    except ValueError:
        return ""


def _arguments(job: Job) -> Iterator[tuple[str, str]]:
    args, kwargs = arguments_of(job)
    names = backend_of(job.backend).parameters_of(job)
    for place, value in enumerate(args):
        yield one_line(names[place] if place < len(names) else place), pretty(value)
    for name, value in kwargs.items():
        yield one_line(name), pretty(value)


def _values(job: Job) -> Iterator[tuple[str, str]]:
    values = (
        (_("Result"), job.return_value if job.status == SUCCESSFUL else None),
        (_("Metadata"), job.metadata),
        (_("Checkpoint"), job.checkpoint),
        (_("Steps"), job.steps),
        (_("Waits"), job.waits),
        (_("Signals"), job.signals),
    )
    for label, text in values:
        if text is not None:
            yield label, pretty(hidden(decoded(text)))


def _moments(job: Job, now: datetime) -> Iterator[Moment]:
    """Yield the times of ``job`` in their order."""
    times = [
        (_("Enqueued"), job.enqueued_at),
        *_due(job),
        (_("Expires"), job.expires_at),
        (_("First attempt"), job.started_at),
        (_("Last attempt"), job.last_attempted_at if job.last_attempted_at != job.started_at else None),
        (_("Ended"), job.finished_at),
        (_("Kept until"), None if (until := kept_until(job)) == FOREVER else until),
    ]
    before: datetime | None = None
    for label, at in sorted(((label, at) for label, at in times if at is not None), key=lambda pair: pair[1]):
        since = "" if before is None else elapsed((at - before).total_seconds())
        yield Moment(label=label, text=local_text(at), since=since, is_ahead=at > now)
        before = at


def _due(job: Job) -> list[tuple[str, datetime | None]]:
    wait = pending_wait(job)
    if wait is None:
        return [(_("Due"), None if waits_for_nodes(job) else job.run_after)]
    return [(_("Waits for a signal until") if wait.is_signal else _("Sleeps until"), wait.until)]


def _error(number: int, error: Any) -> ShownError:
    traceback = shown_traceback(error.traceback).rstrip()
    return ShownError(
        number=number,
        kind=one_line(error.exception_class_path),
        summary=summary_of(error),
        traceback=plain(cut(traceback, MOST_BYTES, _("a page shows no more"))),
    )
