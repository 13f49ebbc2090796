"""Lists batches and workflows with their states and counts, as pages show them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any, Literal, get_args

from ....core.job import Job
from ....core.validation import short
from ....exceptions import BatchDoesNotExist
from ....queues.records.batches import BatchRecord
from ...stores import queue_of, searched
from ...transfer.dump_lines import job_and_log_of

#: ``open``: jobs are being added. ``running``: members wait or run. ``cancelled``: somebody has cancelled it.
#: ``succeeded``: all members have succeeded. ``failed``: it has finished, and some members have not succeeded.
BatchOutcome = Literal["open", "running", "failed", "succeeded", "cancelled"]
OUTCOMES: tuple[BatchOutcome, ...] = get_args(BatchOutcome)
#: The number of records that are looked at for one page, and the number that one call reads if a page leaves some out.
WINDOW, CHUNK = 2_000, 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPage:
    """A page of batches and workflows, the newest first."""

    records: Sequence[BatchRecord]
    """With their counts as they are now."""

    next: str | None
    """The id below which the next page begins; ``None``: there is none."""

    reached_window: bool
    """Whether it ended after ``WINDOW`` records, so that more may match."""


def outcome_of(record: BatchRecord) -> BatchOutcome:
    """Return the present state of a batch, or how it has ended."""
    if record.cancelled_at is not None:
        return "cancelled"
    if record.finished_at is None:
        return "open" if record.sealed_at is None else "running"
    return "failed" if record.counts.failed or record.counts.cancelled else "succeeded"


def batch_page(
    *,
    size: int = 25,
    before: str | None = None,
    outcome: BatchOutcome | None = None,
    kind: str | None = None,
    is_seen: Callable[[str], bool] = lambda _alias: True,
) -> BatchPage:
    """Return up to ``size`` batches and workflows of the aliases that ``is_seen`` takes, with ids below ``before``.

    Raises ``QueueUnavailable``.
    """
    aliases = [alias for alias in searched(None) if is_seen(alias)]
    chunk = size + 1 if kind is None and outcome is None else CHUNK
    newest = merge(*(_records(alias, before, chunk) for alias in aliases), key=lambda each: each.id, reverse=True)
    found: list[BatchRecord] = []
    last, looked_at = None, 0
    for record in islice(newest, WINDOW):
        if len(found) == size:
            return BatchPage(records=_counted(found), next=last, reached_window=False)
        last, looked_at = record.id, looked_at + 1
        if (kind is None or record.kind == kind) and (outcome is None or outcome_of(record) == outcome):
            found.append(record)
    is_cut = looked_at == WINDOW
    return BatchPage(records=_counted(found), next=last if is_cut else None, reached_window=is_cut)


def _records(alias: str, before: str | None, chunk: int) -> Iterator[BatchRecord]:
    queue = queue_of(alias)
    while page := queue.list_batches(before=before, limit=chunk):
        yield from page
        before = page[-1].id
        if len(page) < chunk:
            return


def _counted(records: Sequence[BatchRecord]) -> list[BatchRecord]:
    by_id = {record.id: record for record in records}
    for alias in dict.fromkeys(record.backend for record in records):
        of_alias = [record for record in records if record.backend == alias]
        by_id |= {record.id: record for record in queue_of(alias).count_batches(of_alias)}
    return [by_id[record.id] for record in records]


def get_record(batch_id: str, *, is_seen: Callable[[str], bool] = lambda _alias: True) -> BatchRecord:
    """Return a batch or workflow with its counts as they are now. Raises ``BatchDoesNotExist``."""
    for alias in filter(is_seen, searched(None)):
        if record := queue_of(alias).get_batch(batch_id):
            return record
    raise BatchDoesNotExist(
        f"There is no batch or workflow {short(batch_id)}. Those that have finished are deleted after "
        "LOCO['RESULT_TTL'] seconds."
    )


def followers_of(record: BatchRecord) -> Mapping[str, str]:
    """Return the paths of the callbacks of a batch by the names of their events; an unreadable path is empty."""
    try:
        return {str(event): _path(line) for event, line in json.loads(record.callbacks).items()}
    except (ValueError, AttributeError, RecursionError):  # somebody has edited the store
        return {}


def _path(line: Any) -> str:
    try:
        return job_and_log_of(line.encode())[0].task_path
    except (ValueError, TypeError, AttributeError, RecursionError):
        return ""


def some_members(record: BatchRecord, most: int) -> Sequence[Job]:
    """Return up to ``most`` members of a batch: those that have failed, then those that run or wait, then others.

    It takes a few round trips, however many members there are. Raises ``QueueUnavailable``.
    """
    queue, ids = queue_of(record.backend), list[str]()
    for kind in ("failed", "left", "succeeded"):
        if len(ids) < most:
            ids += queue.batch_members(record.id, kind, limit=most - len(ids))
    places = {job_id: place for place, job_id in enumerate(ids)}
    return sorted(queue.get_many(ids), key=lambda job: places[job.id])
