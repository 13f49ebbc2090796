"""The lines of a dump that have batches and workflows: a JSON object each, before all jobs.

The edges of a workflow are not in a dump: they follow from its nodes that wait.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from ...core.serialization import encode
from ...core.validation import short
from ...queues.records.batches import BATCH, WORKFLOW, BatchCounts, BatchRecord

#: The only key of such a line. Its value has the fields.
MARK = "django_loco_batch"
_START = f'{{"{MARK}":'.encode()
TEXTS = ("id", "backend", "name", "callbacks", "metadata", "kind")
TIMES = ("created_at", "sealed_at", "cancelled_at", "finished_at", "called_at")
_ID = re.compile(r"[0-9a-f]{32}")


def line_of_batch(batch: BatchRecord) -> str:
    """Return the line of a batch."""
    values: dict[str, Any] = {name: getattr(batch, name) for name in (*TEXTS, *TIMES, "round")}
    values |= {name: values[name].isoformat(timespec="microseconds") for name in TIMES if values[name] is not None}
    return encode({MARK: values | {"counts": [*batch.counts]}})


def is_batch(line: bytes) -> bool:
    """Return whether a line has a batch."""
    return line.startswith(_START)


def batch_of(line: bytes) -> BatchRecord:
    """Return the batch in a line. Raises ``ValueError``, which says what is wrong."""
    try:
        values = json.loads(line)[MARK]
        texts: dict[str, Any] = {name: _text(values[name]) for name in TEXTS}
        times: dict[str, Any] = {name: _time(values[name]) for name in TIMES}
        total, succeeded, failed, cancelled = map(_count, values["counts"])
        number = _count(values["round"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"it is no batch that can be read: {error!r}") from None
    if times["created_at"] is None or texts["kind"] not in (BATCH, WORKFLOW):
        raise ValueError("it is no batch that can be read")
    if not _ID.fullmatch(texts["id"]):
        raise ValueError(f"id is {short(texts['id'])}; it must be 32 hexadecimal digits")
    return BatchRecord(**texts, **times, round=number, counts=BatchCounts(total, succeeded, failed, cancelled))


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{short(given)} is no text")
    given.encode()
    return given


def _time(given: Any) -> datetime | None:
    if given is None:
        return None
    moment = datetime.fromisoformat(given)
    if moment.tzinfo is None:
        raise ValueError(f"{short(given)} has no zone")
    return moment


def _count(given: Any) -> int:
    if not isinstance(given, int) or not 0 <= given < 1 << 31:
        raise ValueError(f"{short(given)} is no number of jobs")
    return given
