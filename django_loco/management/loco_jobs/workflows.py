"""``loco_jobs workflows``: a table or JSON lines of all workflows, or of the nodes of one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from operator import attrgetter
from typing import Any

from django.core.management.base import CommandParser, OutputWrapper
from django.utils import timezone

from ... import jobs
from ...core.job import Job, utcnow
from ...jobs.operations.batches.batch import Batch
from ...jobs.operations.workflows.nodes import Place, place_of
from ...jobs.operations.workflows.workflow import Workflow
from ...jobs.presentation.shown import hidden
from ...log.plain_text import one_line
from ...queues.records.batches import BATCH
from ..schedules import clock, table
from .arguments import positive
from .bulk import by_user
from .ids import batch_id_of
from .terminal import may

HEADINGS = ("ID", "NAME", "STATE", "NODES", "DONE", "FAILED", "CANCELLED", "LEFT", "MADE")
NODE_HEADINGS = ("NODE", "STATE", "JOB", "AFTER", "IF ONE FAILS")
#: The most names in a cell.
NAMES = 5


def add_arguments(parser: CommandParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "id", nargs="?", help="The id of a workflow, or its last 8 digits: list its nodes. Default: list workflows."
    )
    parser.add_argument(
        "--limit", type=positive, metavar="N", default=50, help="Maximum number of workflows. Default: 50."
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--cancel", action="store_true", help="Cancel the nodes of the workflow that wait or run.")
    what.add_argument("--retry", action="store_true", help="Run the failed part of the workflow again.")
    parser.add_argument("--yes", action="store_true", help="Do not ask.")


def lines(options: Mapping[str, Any], stdout: OutputWrapper) -> Iterator[str]:
    """Return the lines of the command.

    Raises ``ValueError`` if an id is missing or belongs to a batch, ``BatchDoesNotExist``, and ``CommandError`` if
    nobody can be asked.
    """
    workflow_id, backend, form = options["id"], options["backend"], options["format"]
    if workflow_id is not None:
        workflow_id = batch_id_of(workflow_id, backend)
        if (batch := Batch.get(workflow_id, backend=backend)).record.kind == BATCH:
            raise ValueError(f"{batch.id} is a batch, not a workflow: loco_jobs batches {batch.id}")
        flow = jobs.workflow(workflow_id, backend=backend)
        return _operated(flow, options, stdout) if options["cancel"] or options["retry"] else as_nodes(flow, form)
    if options["cancel"] or options["retry"]:
        raise ValueError("Give the id of a workflow: see loco_jobs workflows.")
    return as_workflows(islice(jobs.workflows(backend=backend), options["limit"]), form)


def _operated(flow: Workflow, options: Mapping[str, Any], stdout: OutputWrapper) -> Iterator[str]:
    """Ask, and cancel or retry a workflow. Yield a line about the result."""
    counts, retries = flow.counts, options["retry"]
    number = counts.failed + counts.cancelled if retries else counts.left
    if may(stdout, "Retry" if retries else "Cancel", f"up to {_nodes_in_words(number)}", yes=options["yes"]):
        number = flow.retry() if retries else flow.cancel(by=by_user())
        is_json, done = options["format"] == "json", "Retried" if retries else "Cancelled"
        yield json.dumps({"id": flow.id, done.lower(): number}) if is_json else f"{done} {_nodes_in_words(number)}."


def _nodes_in_words(number: int) -> str:
    return f"{number:,} {'node' if number == 1 else 'nodes'}"


def as_workflows(found: Iterable[Workflow], form: str) -> Iterator[str]:
    """Yield the lines of the list of workflows."""
    rows = []
    for flow in found:
        flow.refresh()
        total, *ended = flow.counts
        if form == "json":
            yield json.dumps(_shown(flow))
        numbers = (f"{number:,}" for number in (total, *ended, flow.counts.left))
        rows.append((flow.id, one_line(flow.name), flow.state, *numbers, clock(timezone.localtime(flow.created_at))))
    if form != "json":
        yield from table([HEADINGS, *rows]) if rows else ["There is no workflow."]


def as_nodes(flow: Workflow, form: str) -> Iterator[str]:
    """Yield the lines of one workflow with its nodes, in the order in which they were added."""
    flow.refresh()
    nodes = [(job, place) for job in sorted(flow.nodes(), key=attrgetter("enqueued_at")) if (place := place_of(job))]
    if form == "json":
        yield json.dumps(_shown(flow) | {"nodes": [_shown_node(*node) for node in nodes]}, indent=2)
        return
    yield f"Workflow {flow.id} {one_line(flow.name)!r} is {flow.state}."
    yield from table([NODE_HEADINGS, *(_node_row(*node) for node in nodes)])


def _shown(flow: Workflow) -> dict[str, object]:
    counts = flow.counts._asdict() | {"left": flow.counts.left}
    shown = {"id": flow.id, "name": flow.name, "backend": flow.backend, "state": flow.state, **counts}
    return shown | {"created_at": flow.created_at.isoformat(), "metadata": hidden(flow.metadata)}


def _shown_node(job: Job, place: Place) -> dict[str, object]:
    state = jobs.state_of(job, utcnow())
    return {"name": place.name, "state": state, "job": job.id, "after": place.after, "on_failed": place.on_failed}


def _node_row(job: Job, place: Place) -> tuple[str, ...]:
    names = ", ".join([*map(one_line, place.after[:NAMES]), *["…"] * (len(place.after) > NAMES)])
    return one_line(place.name), jobs.state_of(job, utcnow()), job.id, names, place.on_failed if place.after else ""
