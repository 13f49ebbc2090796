"""The view of one workflow or batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from ....core.compat import TaskResultDoesNotExist
from ....core.job import Job, utcnow
from ....exceptions import BatchDoesNotExist
from ....jobs.language.words import id_of
from ....jobs.operations.batches.listing import get_record, some_members
from ....jobs.operations.workflows.nodes import node_id, place_of, waits_for_nodes
from ....jobs.page_parts.operations import permitted
from ....jobs.page_parts.phrases import STATE_TEXTS
from ....jobs.page_parts.scope import BY_ALIAS, Scope, scope_of
from ....jobs.page_parts.stored_json import decoded, hidden, pretty
from ....jobs.presentation.numbers import number_text
from ....jobs.states import state_of
from ....log.plain_text import one_line
from ....queues.records.batches import WORKFLOW, BatchRecord
from ...access import VIEW_JOB
from ...links import job_url, page_url
from ...live import LivePage
from .graph import Box, graph
from .parts import followers, job_rows, row_of, state_links

#: The most nodes that are drawn, and the number of jobs in the table of a batch or of a larger workflow.
DRAWN, LISTED = 60, 25


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRead:
    """A workflow or batch at one moment."""

    record: BatchRecord
    jobs: Sequence[Job]
    """All stored jobs in the order of adding; or, if there are many, a part, beginning with failed jobs."""

    @property
    def is_workflow(self) -> bool:
        """Whether its jobs wait for each other."""
        return self.record.kind == WORKFLOW

    @property
    def is_drawn(self) -> bool:
        """Whether it is a workflow with few enough nodes."""
        return self.is_workflow and self.record.counts.total <= DRAWN


def record_of(batch_id: str, scope: Scope) -> BatchRecord:
    """Return a workflow or batch. Raises ``TaskResultDoesNotExist`` if the user sees none with this id."""
    try:
        return get_record(id_of(batch_id), is_seen=scope.sees_alias)
    except (ValueError, BatchDoesNotExist) as error:
        raise TaskResultDoesNotExist(
            _("There is no such workflow or batch. Those that have ended are deleted some time later.")
        ) from error


class WorkflowPage(LivePage[WorkflowRead]):
    """One workflow or batch."""

    entry = "workflows"
    template = "workflow.html"
    permissions = (VIEW_JOB,)
    words = BY_ALIAS

    def read(self, request: HttpRequest, **names: str) -> WorkflowRead:
        """Return the workflow or batch with its jobs, or with some of them."""
        record = record_of(names["batch_id"], scope_of(request))
        is_small = record.kind == WORKFLOW and record.counts.total <= DRAWN
        jobs = some_members(record, DRAWN if is_small else LISTED)
        return WorkflowRead(record=record, jobs=sorted(jobs, key=attrgetter("enqueued_at")) if is_small else jobs)

    def parts(self, request: HttpRequest, read: WorkflowRead) -> Mapping[str, Mapping[str, Any]]:
        """Return the parts, with buttons for the operations that the user may do in the present state."""
        record, counts = read.record, read.record.counts
        may = {each.name for each in permitted(request)}
        return {
            "head": {
                **row_of(record),
                "links": state_links(record),
                "may_cancel": "cancel" in may and record.finished_at is None,
                "may_retry": "retry" in may and bool(counts.failed + counts.cancelled),
            },
            "graph": {"graph": _graph(read) if read.is_drawn and read.jobs else "", "drawn": DRAWN},
            "follow": {"followers": followers(record), "called_at": record.called_at},
            "data": {"metadata": pretty(hidden(decoded(record.metadata))) if record.metadata not in ("", "{}") else ""},
            "nodes": _nodes(read),
        }

    def context(self, request: HttpRequest, read: WorkflowRead) -> Mapping[str, Any]:  # noqa: ARG002
        """Return its name, and the addresses of its buttons."""
        kind = _("Workflow") if read.is_workflow else _("Batch")
        address = page_url("act_on_workflow", read.record.id)
        return {"name": one_line(read.record.name) or kind, "kind": kind, "record": read.record, "address": address}


def _nodes(read: WorkflowRead) -> dict[str, Any]:
    left_out = max(0, read.record.counts.total - len(read.jobs))
    return {
        "rows": job_rows(read.jobs, utcnow()),
        "is_workflow": read.is_workflow,
        "is_drawn": read.is_drawn,
        "links": state_links(read.record),
        "number": len(read.jobs),
        "left_out": left_out,
        "left_out_text": number_text(left_out),
    }


def _graph(read: WorkflowRead) -> str:
    now = utcnow()
    return graph([_box(job, now) for job in read.jobs], _("Nodes, with arrows from those that each waits for"))


def _box(job: Job, now: datetime) -> Box:
    place, state = place_of(job), state_of(job, now)
    return Box(
        id=job.id,
        name=one_line(place.name if place else job.task_path),
        state=state,
        state_text=_("waits for others") if waits_for_nodes(job) else str(STATE_TEXTS[state]),
        url=job_url(job.id),
        after=[node_id(str(job.batch), name) for name in place.after] if place else (),
    )


workflow_page = WorkflowPage()
