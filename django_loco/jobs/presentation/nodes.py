"""The nodes of workflows as people see them."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ...core.job import READY, RUNNING, Job
from ...log.plain_text import one_line
from ...queues import Queue
from ..operations.workflows.nodes import node_id, place_of
from .numbers import number_text
from .reasons.reason import Reason

#: The number of nodes that a reason names.
NAMED = 5


def shown_membership(job: Job) -> dict[str, Any]:
    """Return the batch of ``job`` and its place in its workflow as JSON values, each ``None`` if it has none."""
    return {"batch": job.batch, "node": _shown_node(job)}


def _shown_node(job: Job) -> dict[str, Any] | None:
    place = place_of(job)
    if place is None:
        return None
    after = {name: node_id(str(job.batch), name) for name in place.after}
    return {"name": place.name, "after": after, "on_failed": place.on_failed}


def waiting_reason(job: Job, queue: Queue) -> Reason:
    """Return why ``job``, a node of a workflow, waits: mostly for other nodes."""
    place = place_of(job)
    ids = {node_id(str(job.batch), name): name for name in place.after} if place else {}
    stored = {each.id: each for each in queue.get_many([*ids])}
    left = [f"{one_line(name)}, job {job_id}" for job_id, name in ids.items() if _is_left(stored.get(job_id))]
    run_now = {"command": f"loco_jobs update {job.id} --run-after now"}
    if left:
        names = "; ".join([*left[:NAMED], *["…"] * (len(left) > NAMED)])
        text = ngettext("It waits for node %(names)s.", "It waits for %(number)s nodes: %(names)s.", len(left))
        text %= {"names": names, "number": number_text(len(left))}
        return Reason("waits", text, _("To run it now, whatever it waits for: %(command)s") % run_now)
    record = queue.get_batch(str(job.batch))
    if record is None:
        text = _("Its workflow %(id)s is not in this store.") % {"id": one_line(job.batch)}
        return Reason("no workflow", text, _("To run it all the same: %(command)s") % run_now)
    if record.sealed_at is None:
        text = _("Its workflow %(id)s was not started: the process that enqueued it has died.") % {"id": record.id}
        return Reason("not started", text, _("Delete it."))
    return Reason("waits", _("The nodes that it waits for have ended. A worker notices within ten seconds."))


def _is_left(job: Job | None) -> bool:
    return job is not None and job.status in (READY, RUNNING)
