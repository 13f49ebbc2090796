"""A job as a row of a list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from ...core.job import FAILED, FOREVER, Job
from ...log.plain_text import one_line
from ..operations.workflows.nodes import waits_for_nodes
from ..presentation.age import age, elapsed
from ..states import State, state_of
from .addresses import JobLinks
from .phrases import STATE_TEXTS
from .stored_json import short

#: The number of characters of the arguments of a job.
ARGUMENTS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job in the list."""

    job: Job
    url: str
    function: str
    module: str
    """The path of the module of the task."""

    queue: str
    alias: str
    """Empty if there is only one."""

    state: State
    state_text: str
    """The state in the language of the reader."""

    note: str
    """A remark beside the state: when the job runs next, or how long it has taken."""

    arguments: str
    enqueued: str
    age: str
    error: str

    @property
    def waits_for_signal(self) -> bool:
        """Whether the job waits for a signal without a time limit."""
        return self.job.finished_at is None and self.job.run_after == FOREVER


def row_of(job: Job, now: datetime, links: JobLinks, *, has_aliases: bool) -> JobRow:
    """Return the row of ``job`` at the time ``now``, which is aware."""
    module, _, function = one_line(job.task_path).rpartition(".")
    state = state_of(job, now)
    arguments = short(job)
    error = job.errors[-1].exception_class_path.rpartition(".")[2] if job.errors and state != "done" else ""
    return JobRow(
        job=job,
        url=links.job_url(job.id),
        function=function,
        module=module,
        queue=one_line(job.queue_name),
        alias=one_line(job.backend) if has_aliases else "",
        state=state,
        state_text=str(STATE_TEXTS[state]),
        note=note_of(job, now),
        arguments=arguments if len(arguments) <= ARGUMENTS else f"{arguments[:ARGUMENTS]}…",
        enqueued=local_text(job.enqueued_at),
        age=ago(max(0.0, (now - job.enqueued_at).total_seconds())),
        error="" if state == "cancelled" else one_line(error),
    )


def note_of(job: Job, now: datetime) -> str:
    """Return what the state of ``job`` does not say: when it runs, since when, or how long its last attempt took."""
    if job.finished_at is None and job.run_after is not None and job.run_after > now:
        if job.run_after >= FOREVER:
            return _("after other jobs") if waits_for_nodes(job) else _("after a signal")
        return _("in %(time)s") % {"time": age((job.run_after - now).total_seconds())}
    if job.last_attempted_at is None:
        return ""
    if job.worker_id is not None:
        return _("for %(time)s") % {"time": age((now - job.last_attempted_at).total_seconds())}
    if job.finished_at is None or job.status == FAILED:
        return ""
    return _("took %(time)s") % {"time": elapsed((job.finished_at - job.last_attempted_at).total_seconds())}


def ago(seconds: float) -> str:
    """Return how long ago something was."""
    return _("%(time)s ago") % {"time": age(seconds)}


def local_text(moment: datetime) -> str:
    """Return an aware time as text, to the millisecond and in the active time zone."""
    return timezone.localtime(moment).replace(tzinfo=None).isoformat(" ", "milliseconds")
