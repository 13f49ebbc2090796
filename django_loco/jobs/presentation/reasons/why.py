"""Why a job does not run, or how it ended: the answers of ``loco_jobs why``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from ....conf import loco_settings
from ....core.job import READY, Job, pending_waits, utcnow
from ....core.job.ageing import aged_priority
from ....core.job.unknown_task import unknown_since
from ....core.job.waits import Wait
from ....log.plain_text import one_line
from ....queues import Queue
from ....queues.records.pauses import is_paused
from ...operations.reruns import follows
from ...operations.workflows.nodes import waits_for_nodes
from ...signing import is_genuine
from ...stores import JobReference, backend_of, get
from ...transfer.parking import ends_of, is_parked
from ..age import age
from ..nodes import waiting_reason
from .ended import ends, last_error
from .limits import limits_in_the_way
from .reason import Reason, time_text
from .workers import missing_workers


def why(which: JobReference, /, *, backend: str | None = None) -> list[Reason]:
    """Return the reasons why a job does not run now, or how it ended; at least one.

    Raises ``TaskResultDoesNotExist``, and ``QueueUnavailable`` if the store does not answer.
    """
    job = get(which, backend=backend)
    now = utcnow()
    if job.status != READY:
        return ends(job, now)
    queue = backend_of(job.backend).queue
    reasons = [waiting_reason(job, queue)] if waits_for_nodes(job) else [*_reasons(job, queue, now)]
    reasons = reasons or [Reason("next", _("It may run now: a worker takes it as soon as it has room."))]
    return [*reasons, *_ageing(job, now), *_expiry(job, now)]


def _ageing(job: Job, now: datetime) -> Iterator[Reason]:
    """Yield the raised priority of a job that has waited long."""
    aged = aged_priority(job, now, loco_settings().AGEING)
    if aged != job.priority:
        text = _("It has waited so long that its priority of %(priority)s counts as %(aged)s (LOCO['AGEING']).")
        yield Reason("aged", text % {"priority": job.priority, "aged": aged})


def _expiry(job: Job, now: datetime) -> Iterator[Reason]:
    """Yield the time by which a job that has not begun has to begin."""
    if job.expires_at is not None and job.expires_at > now and not job.is_known_to_have_begun:
        text = _("It expires in %(time)s: if it has not begun by then, it never runs.")
        yield Reason("expires", text % {"time": _until(job.expires_at, now)})


def _reasons(job: Job, queue: Queue, now: datetime) -> Iterator[Reason]:
    if not job.is_readable:
        yield Reason("unreadable", _("It cannot be read as it is stored."), _("Delete it."))
        return  # the commands of other reasons would be refused
    if is_parked(job):
        source, target = ends_of(job)
        yield Reason(
            "moving",
            _("It is on its way from TASKS[%(source)s] to TASKS[%(target)s], and does not run meanwhile.")
            % {"source": repr(source), "target": repr(target)},
            _("If that command has ended: %(command)s")
            % {"command": f"loco_jobs move --from {source} --to {target} --all"},
        )
        return
    if job.run_after is not None and job.run_after > now:
        yield from _not_due(job, job.run_after, now)
    if job.expires_at is not None and job.expires_at <= now and not job.is_known_to_have_begun:
        yield Reason(
            "expired",
            _("It has expired at %(time)s: the worker that takes it will not run it.")
            % {"time": time_text(job.expires_at)},
            _("To run it all the same: %(command)s") % {"command": f"loco_jobs update {job.id} --expires 1h"},
            at=job.expires_at,
        )
    if loco_settings().SIGN and not is_genuine(job):
        yield Reason(
            "unsigned",
            _("Its signature is missing or wrong (LOCO['SIGN']), so it will fail."),
            _("Enqueue it again."),
        )
    yield from _pauses(job, queue)
    if not backend_of(job.backend).runs_stored_jobs:
        yield Reason(
            "foreground",
            _("TASKS[%(alias)s] runs jobs inside enqueue() (ForegroundBlocking), so no worker runs stored jobs.")
            % {"alias": repr(job.backend)},
            _("Set WORKER_MODE, or OPTIONS['mode'] of this alias, to BackgroundQueue."),
        )
        return
    yield from missing_workers(job, [worker for worker in queue.workers() if not worker.is_scheduler])


def _pauses(job: Job, queue: Queue) -> Iterator[Reason]:
    if job.queue_name in queue.paused():
        text = _("Its queue %(queue)s is paused.") % {"queue": repr(job.queue_name)}
        yield Reason("paused", text, f"loco_jobs resume {one_line(job.queue_name)}")
    for kind, name in sorted(pause for pause in queue.paused_jobs() if is_paused(job, [pause])):
        text = _("Its task %(name)s is paused.") if kind == "task" else _("Its tag %(name)s is paused.")
        yield Reason(
            f"{kind} paused",
            text % {"name": one_line(name) if kind == "task" else repr(name)},
            f"loco_jobs resume --{kind} {one_line(shlex.quote(name))}",
        )
    yield from limits_in_the_way(job, queue)


def _pending(job: Job, wait: Wait) -> Reason:
    """Return what ``job`` sleeps or waits for."""
    names = {
        "name": one_line(f"{wait.name:.100}"),
        "time": time_text(wait.until),
    }
    if not wait.is_signal:
        return Reason("sleeping", _("It sleeps until %(time)s (step %(name)s).") % names, at=wait.until)
    return Reason(
        "waiting for signal",
        _("It waits for the signal %(name)s, however long that takes.") % names
        if wait.until is None
        else _("It waits for the signal %(name)s until %(time)s.") % names,
        _("To send it: %(command)s") % {"command": f"loco_jobs signal {job.id} {one_line(shlex.quote(wait.name))}"},
        at=wait.until,
    )


def _not_due(job: Job, due: datetime, now: datetime) -> list[Reason]:
    """Return why ``job`` is not due: one reason, or all of its sleeps and waits."""
    return [_pending(job, wait) for wait in pending_waits(job)] or [_put_off(job, due, now)]


def _put_off(job: Job, due: datetime, now: datetime) -> Reason:
    if follows(job):
        return Reason("follows", _("It runs when the job with its unique key that has begun before has ended."))
    text = _("It is not due yet: it may run in %(time)s.") % {"time": _until(due, now)}
    command = f"loco_jobs update {job.id} --run-after now"
    if unknown_since(job):
        missing = _("The workers that took it do not have its task: %(error)s") % {"error": last_error(job)}
        remedy = _("When a worker has code with this task: %(command)s") % {"command": command}
        return Reason("no task", f"{text} {missing}", remedy, command, "run_now")
    remedy = _("To run it now: %(command)s") % {"command": command}
    if job.errors:
        before = _("It has failed before: %(error)s") % {"error": last_error(job)}
        return Reason("retrying", f"{text} {before}", remedy, command, "run_now")
    if job.last_attempted_at:
        before = _("It ran before, at %(time)s, and was put off.") % {"time": time_text(job.last_attempted_at)}
        return Reason("put off", f"{text} {before}", remedy, command, "run_now", job.last_attempted_at)
    return Reason("scheduled", text, remedy, command, "run_now")


def _until(later: datetime, now: datetime) -> str:
    return age((later - now).total_seconds())
