"""The lines of the files that keep jobs and batches: a JSON document each.

The document of a job has its fields, see ``rows``, and its kept log. That of a batch has its record, the standing of
each member, the edges to the nodes that are not decided, and the jobs that have ended and that others need: nodes of a
workflow, whose results are read, and members that somebody may retry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple, cast, get_args

from ...core.job import READY, Job
from ..records.batches import BatchCounts, BatchRecord, Standing
from ..records.workflows import ON_FAILED, Edge
from ..rows import COLUMNS, OPTIONAL, job_of, row_of
from ..rows.forms import FORMS
from ..rows.unreadable import texts

#: The key of the kept logs of a job, beside the keys of its fields.
LOG = "log"
#: The key of the fields of a batch. No job has it.
RECORD = "record"
_STANDINGS: tuple[Standing, ...] = get_args(Standing)
#: The fields of a batch, but its counts, and how they are stored.
_FIELDS = {field.name: FORMS[str(field.type)] for field in fields(BatchRecord) if field.name != "counts"}


class KeptJob(NamedTuple):
    """A job and its kept log, if it has one."""

    job: Job
    log: str | None = None


class KeptBatch(NamedTuple):
    """A batch as it is moved from one process to another."""

    record: BatchRecord
    members: Mapping[str, Standing]
    edges: Sequence[Edge] = ()
    ended: Sequence[KeptJob] = ()


def line_of(item: KeptJob | KeptBatch) -> bytes:
    """Return the line of a job or a batch. Raises what ``json`` raises for values that it does not know."""
    document = _document_of_batch(item) if isinstance(item, KeptBatch) else _document_of_job(item)
    return f"{json.dumps(document)}\n".encode()


def item_of(line: bytes) -> KeptJob | KeptBatch:
    """Return the job or the batch in a line. Raises one of ``unreadable.NOT_OURS``."""
    document = {**json.loads(line)}
    return _batch_of(document) if RECORD in document else _job_of(document)


def _document_of_job(kept: KeptJob) -> dict[str, Any]:
    row = dict(zip(COLUMNS, row_of(kept.job), strict=True))
    return row if kept.log is None else row | {LOG: kept.log}


def _job_of(document: Mapping[str, Any]) -> KeptJob:
    row, log = {**OPTIONAL, **document}, document.get(LOG)
    return KeptJob(job_of([row[column] for column in COLUMNS]), log if isinstance(log, str) else None)


def _document_of_batch(kept: KeptBatch) -> dict[str, Any]:
    members: dict[str, list[str]] = {standing: [] for standing in _STANDINGS}
    for job_id, standing in kept.members.items():
        members[standing].append(job_id)
    return {
        RECORD: {name: form.stored(getattr(kept.record, name)) for name, form in _FIELDS.items()},
        "counts": kept.record.counts,
        "members": members,
        "edges": kept.edges,
        "ended": [_document_of_job(job) for job in kept.ended],
    }


def _batch_of(document: Mapping[str, Any]) -> KeptBatch:
    stored, counts = document[RECORD], BatchCounts(*document["counts"])
    if not all(isinstance(number, int) for number in counts) or not isinstance(document["ended"], list):
        raise TypeError("a value has another type")
    values = {name: form.value(stored[name]) for name, form in _FIELDS.items()}
    standings = {standing: texts(ids) for standing, ids in document["members"].items()}
    if odd := standings.keys() - {*_STANDINGS}:
        raise ValueError(f"members that are {min(odd)!r}")
    return KeptBatch(
        BatchRecord(**values, counts=counts),
        {job_id: cast("Standing", standing) for standing, ids in standings.items() for job_id in ids},
        [_edge_of(edge) for edge in document["edges"]],
        [_ended_of(job) for job in document["ended"]],
    )


def _edge_of(stored: object) -> Edge:
    upstream, downstream, on_failed = texts(stored)
    if on_failed not in ON_FAILED:
        raise ValueError(f"an edge with on_failed={on_failed!r}")
    return Edge(upstream, downstream, on_failed)


def _ended_of(stored: object) -> KeptJob:
    if not isinstance(stored, dict):
        raise TypeError("an ended job is not a JSON object")
    kept = _job_of(stored)
    if kept.job.status == READY:
        raise ValueError("an ended job waits")
    return kept
