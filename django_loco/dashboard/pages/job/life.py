"""The life of a job as steps with times. Future steps are marked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ....core.job import FOREVER, RUNNING, Job, pending_wait, utcnow
from ....core.job.retention import kept_until
from ....jobs.operations.workflows.nodes import waits_for_nodes
from ....jobs.presentation.age import elapsed
from ....jobs.states import State, state_of

ENDS: dict[State, Promise] = {"done": _("Done"), "failed": _("Failed"), "cancelled": _("Cancelled")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A moment in the life of a job."""

    kind: str
    """The name of a colour: ``"past"``, ``"now"``, ``"ahead"``, or the state in which the job has ended."""

    label: Promise
    at: datetime | None
    """When it happens or happened; ``None``: not known."""

    since: str
    """The time since the previous step."""


def life_of(job: Job) -> list[Step]:
    """Return the steps of the life of ``job``, in their order."""
    now = utcnow()
    state = state_of(job, now)
    steps: list[Step] = []
    before: datetime | None = None
    for label, at in sorted(_times(job), key=lambda pair: pair[1]):
        kind = "ahead" if at > now else "past"
        steps.append(Step(kind=kind, label=label, at=at, since=_between(before, at)))
        before = at
    if job.finished_at is not None:
        since = _between(before, job.finished_at)
        steps.append(Step(kind=state, label=ENDS.get(state, _("Ended")), at=job.finished_at, since=since))
        if (until := kept_until(job)) is not None and until < FOREVER:
            kept = _between(job.finished_at, until)
            steps.append(Step(kind="ahead", label=_("Kept until"), at=until, since=kept))
    elif job.status == RUNNING:
        steps.append(Step(kind="now", label=_("Running"), at=None, since=""))
        steps.append(Step(kind="ahead", label=_("Ends"), at=None, since=""))
    else:
        wait = pending_wait(job)
        if wait is not None and wait.until is None:
            steps.append(Step(kind="now", label=_("Waits for a signal"), at=None, since=""))
        steps.append(Step(kind="ahead", label=pgettext_lazy("step in the life of a job", "Runs"), at=None, since=""))
    return steps


def _times(job: Job) -> Iterator[tuple[Promise, datetime]]:
    times = (
        (_("Enqueued"), job.enqueued_at),
        _due(job),
        (_("First attempt"), job.started_at),
        (_("Last attempt"), job.last_attempted_at if job.last_attempted_at != job.started_at else None),
    )
    for label, at in times:
        if at is not None and (job.finished_at is None or at <= job.finished_at):
            yield label, at


def _due(job: Job) -> tuple[Promise, datetime | None]:
    wait = pending_wait(job)
    if wait is None:
        return _("Due"), None if waits_for_nodes(job) else job.run_after
    return _("Waits for a signal until") if wait.is_signal else _("Sleeps until"), wait.until


def _between(start: datetime | None, end: datetime) -> str:
    return "" if start is None else elapsed((end - start).total_seconds())
