"""The page of workers, schedulers and queues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from ... import jobs
from ...core.job import Job
from ...exceptions import QueueError
from ...jobs.control.pauses import KINDS, AliasPause, paused_jobs
from ...jobs.control.workers import workers_and_schedulers
from ...jobs.page_parts.addresses import JobLinks, word
from ...jobs.page_parts.available import UNAVAILABLE, notes
from ...jobs.page_parts.rows import ago, local_text
from ...jobs.page_parts.scope import (
    EVERYTHING,
    SHOWN_QUEUES,
    SHOWN_SCHEDULERS,
    SHOWN_WORKERS,
    ShownQueues,
    scope_of,
    shown_queues,
)
from ...jobs.presentation.age import age
from ...log.plain_text import one_line
from ...models import LocoWorker
from .links import links_of
from .store_pages import StorePages

#: The number of running jobs that are shown of one worker, and the number of queues whose oldest due job is looked up.
MOST_OF_WORKER, AGES = 10, 20
PAUSE = "django_loco.pause_queue"
#: The messages after something was paused, and after it was resumed.
_DONE = {
    "queue": (
        gettext_lazy("The queue %(queue)s is paused. Jobs that run go on."),
        gettext_lazy("The queue %(queue)s is resumed."),
    ),
    "task": (
        gettext_lazy("The task %(task)s is paused. Jobs that run go on."),
        gettext_lazy("The task %(task)s is resumed."),
    ),
    "tag": (
        gettext_lazy("The tag %(tag)s is paused. Jobs that run go on."),
        gettext_lazy("The tag %(tag)s is resumed."),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A worker, and the jobs that it runs."""

    worker: jobs.AliasWorker
    name: str
    host: str
    queues: str
    tags: str
    started: str
    heartbeat: str
    running: Sequence[tuple[str, str]]
    """The name and the address of each job that it runs."""

    url: str
    """The address of the list of all these jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerRow:
    """A scheduler."""

    scheduler: jobs.AliasWorker
    name: str
    host: str
    tags: str
    started: str
    heartbeat: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """A queue, and how many jobs it has."""

    stats: jobs.QueueStats
    name: str
    url: str
    oldest: str


def show_workers(pages: StorePages, request: HttpRequest, extra_context: Mapping[str, Any]) -> HttpResponse:
    """Return the page. It is about all jobs, so users who may see only a part of the jobs are refused.

    Raises ``PermissionDenied``.
    """
    if scope_of(request).is_narrowed:
        raise PermissionDenied
    if request.method == "POST":
        pages.require(request, PAUSE)
        _pause_or_resume(pages, request)
        return HttpResponseRedirect(request.get_full_path())
    try:
        context = _read(links_of(pages.site_name), shows_all="all" in request.GET)
    except UNAVAILABLE as error:
        context = {"problem": str(error)}
    status = 503 if "problem" in context else 200
    context |= {
        "may_pause": request.user.has_perm(PAUSE),
        "has_aliases": len(jobs.aliases()) > 1,
        **extra_context,
    }
    return pages.page(request, "workers.html", context, title=_("Workers and queues"), status=status)


def _read(links: JobLinks, *, shows_all: bool) -> dict[str, Any]:
    """Return the context of the page.

    If there are many rows, it has a part of them, unless ``shows_all``. Raises ``QueueUnavailable``.
    """
    found, schedulers = workers_and_schedulers()
    workers = sorted(found, key=lambda worker: (worker.backend, worker.host, worker.worker_id))
    queues = shown_queues(EVERYTHING.stats(), ages=AGES, most=None if shows_all else SHOWN_QUEUES)
    shown = workers if shows_all else workers[:SHOWN_WORKERS]
    beside = schedulers if shows_all else schedulers[:SHOWN_SCHEDULERS]
    return {
        "notes": notes(),
        "workers": worker_rows(shown, links),
        "more_workers": len(workers) - len(shown),
        "schedulers": [_scheduler_row(each) for each in beside],
        "more_schedulers": len(schedulers) - len(beside),
        "queues": queue_rows(queues, links),
        "more_queues": queues.more,
        "pauses": pause_rows(links),
    }


def _pause_or_resume(pages: StorePages, request: HttpRequest) -> None:
    alias, pauses = request.POST.get("alias") or None, request.POST.get("pauses", "")
    kind = next((kind for kind in KINDS if kind in request.POST), "queue")
    name = request.POST.get(kind, "").strip()
    which: Any = {kind: name, "backend": alias}
    try:
        (jobs.pause if pauses else jobs.resume)(**which)
    except (QueueError, ValueError) as error:
        pages.say(request, str(error), messages.ERROR)
        return
    paused, resumed = _DONE[kind]
    pages.say(request, (paused if pauses else resumed) % {kind: repr(name)}, messages.SUCCESS)
    what = name if kind == "queue" else f"{kind} {name}"
    changed = LocoWorker(id=what if alias is None else f"{alias}: {what}")
    pages.log_change(request, changed, "Paused." if pauses else "Resumed.")


def pause_rows(links: JobLinks) -> list[tuple[AliasPause, str, str]]:
    """Return the paused tasks and tags, each with its name and the address of its waiting jobs."""
    return [
        (each, one_line(each.name), links.list_url(f"status:ready {word(each.kind, each.name)}"))
        for each in paused_jobs()
    ]


def worker_rows(workers: Sequence[jobs.AliasWorker], links: JobLinks) -> list[WorkerRow]:
    """Return the workers with the jobs that they run. Raises ``QueueUnavailable``."""
    running = EVERYTHING.running_by_worker() if workers else {}
    return [_worker_row(worker, running.get(worker.worker_id, ()), links) for worker in workers]


def _worker_row(worker: jobs.AliasWorker, running: Sequence[Job], links: JobLinks) -> WorkerRow:
    return WorkerRow(
        worker=worker,
        name=one_line(worker.worker_id),
        host=one_line(worker.host),
        queues=pgettext("queues", "all") if worker.queues is None else one_line(", ".join(worker.queues)),
        tags=_tags(worker),
        started=local_text(worker.started_at),
        heartbeat=ago(worker.heartbeat_age),
        running=[
            (one_line(job.task_path.rpartition(".")[2]), links.job_url(job.id)) for job in running[:MOST_OF_WORKER]
        ],
        url=links.list_url(f"status:running {word('worker', worker.worker_id)}"),
    )


def _scheduler_row(scheduler: jobs.AliasWorker) -> SchedulerRow:
    return SchedulerRow(
        scheduler=scheduler,
        name=one_line(scheduler.worker_id),
        host=one_line(scheduler.host),
        tags=_tags(scheduler),
        started=local_text(scheduler.started_at),
        heartbeat=ago(scheduler.heartbeat_age),
    )


def _tags(worker: jobs.AliasWorker) -> str:
    if worker.tags is None:
        return pgettext("tags", "any")
    return one_line(", ".join(worker.tags)) or pgettext("tags", "none")


def queue_rows(queues: ShownQueues, links: JobLinks) -> list[QueueRow]:
    """Return the queues as the page shows them."""
    return [
        QueueRow(
            stats=each,
            name=one_line(each.queue),
            url=links.list_url(f"{word('queue', each.queue)} {word('backend', each.backend)}"),
            oldest=_oldest(each, is_read=(each.backend, each.queue) not in queues.unread),
        )
        for each in queues.stats
    ]


def _oldest(queue: jobs.QueueStats, *, is_read: bool) -> str:
    if not is_read:
        return _("not read")
    return "-" if queue.oldest_due_age is None else age(queue.oldest_due_age)
