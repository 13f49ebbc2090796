"""How a job ended, or that it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ....core.job import FOREVER, Job
from ....core.job.retention import kept_until
from ....log.plain_text import one_line
from ...operations.workflows.retrying import hindrance_of
from ...states import state_of
from ...stores import backend_of, other_holder
from ...transfer.parking import ends_of, is_gone
from ..age import age
from ..progress import progress_of
from ..shown import summary_of
from .reason import Reason, time_text


def ends(job: Job, now: datetime) -> list[Reason]:
    """Return how a job that does not wait has ended, and until when it is kept; or that it runs."""
    return [_ENDS[state_of(job, now)](job), *_retention(job)]


def _retention(job: Job) -> Iterator[Reason]:
    """Yield until when a finished job with a retention is kept."""
    until = kept_until(job)
    if until == FOREVER:
        yield Reason("kept", _("It is kept forever."))
    elif until is not None:
        yield Reason("kept", _("It is kept until %(time)s.") % {"time": time_text(until)}, at=until)


def _running(job: Job) -> Reason:
    workers = {worker.worker_id: worker for worker in backend_of(job.backend).queue.workers()}
    worker = workers.get(job.worker_id or "")
    since = job.last_attempted_at
    text = _("The worker %(worker)s runs it since %(time)s.") if since else _("The worker %(worker)s runs it.")
    text %= {"worker": one_line(job.worker_id), "time": time_text(since)}
    if progress := progress_of(job):
        text = f"{text} {_('It has done %(progress)s.') % {'progress': progress}}"
    if worker is None or worker.is_alive:
        return Reason("running", text, at=since)
    silent = _("That worker has not shown that it lives for %(time)s.")
    return Reason(
        "lost",
        f"{text} {silent % {'time': age(worker.heartbeat_age)}}",
        _("Nothing to do: another worker takes the job back when its lease has run out."),
        at=since,
    )


def _failed(job: Job) -> Reason:
    attempts = len(job.worker_ids)
    text = ngettext(
        "It has failed for good after %(count)s attempt: %(error)s",
        "It has failed for good after %(count)s attempts: %(error)s",
        attempts,
    )
    after_holder = _(
        "When the cause is corrected (and job %(holder)s, which has its unique key, has ended): %(command)s"
    )
    text %= {"count": attempts, "error": last_error(job)}
    return _ended("failed", text, job, _("When the cause is corrected: %(command)s"), after_holder)


def _cancelled(job: Job) -> Reason:
    target = ends_of(job)[1]
    if target and is_gone(job, target):
        there = _("See it there: %(command)s") % {"command": f"loco_jobs show {job.id} --backend {target}"}
        return Reason("cancelled", last_error(job), there)
    after_holder = _("To run it all the same (and job %(holder)s, which has its unique key, has ended): %(command)s")
    return _ended("cancelled", last_error(job), job, _("To run it all the same: %(command)s"), after_holder)


def _ended(code: str, text: str, job: Job, remedy: str, after_holder: str) -> Reason:
    """Return a reason with the command that retries ``job``, or with another remedy if a retry would be refused."""
    if not job.is_readable:
        return Reason(code, text, _("Delete it."))
    backend = backend_of(job.backend)
    hindrance = hindrance_of(backend.queue, job)
    is_lost = hindrance is not None and (hindrance.is_deleted or backend.queue.get_batch(str(job.batch)) is None)
    if is_lost or job.is_moving or not backend.runs_stored_jobs:
        return Reason(code, text, _("Enqueue it again."))
    if hindrance:
        command = f"loco_jobs workflows {job.batch} --retry"
        return Reason(code, text, remedy % {"command": command}, command)
    holder, command = other_holder(job), f"loco_jobs retry {job.id}"
    if holder:
        remedy = after_holder
    return Reason(code, text, remedy % {"holder": holder and holder.id, "command": command}, command, "retry")


def _done(job: Job) -> Reason:
    if job.finished_at is None:
        return Reason("done", _("It has succeeded."))
    text = _("It succeeded at %(time)s.") % {"time": time_text(job.finished_at)}
    return Reason("done", text, at=job.finished_at)


def last_error(job: Job) -> str:
    """Return the last error of ``job`` on one line."""
    return summary_of(job.errors[-1]) if job.errors else _("no error is stored.")


_ENDS: dict[str, Callable[[Job], Reason]] = {
    "running": _running,
    "failed": _failed,
    "cancelled": _cancelled,
    "done": _done,
}
