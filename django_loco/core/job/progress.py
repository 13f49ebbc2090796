"""The progress that a job reports with ``context.progress``, as it is stored in ``Job.progress``.

It is JSON text of an object: ``done``, ``total``, ``note``, and ``at``, the time at which it was stored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from ..serialization import cut, decode, encode
from .clock import utcnow

Number = int | float
#: The largest number that is stored, and the number of bytes of a note.
LARGEST, MAX_NOTE = 10**15, 1_000


class StoredProgress(NamedTuple):
    """A report of a job's progress."""

    done: Number
    total: Number | None
    note: str
    at: datetime
    """When it was stored, aware."""


def text_of_progress(done: Number, total: Number | None, note: str) -> str:
    """Return the stored form of the progress that a job reports now. Impossible numbers are replaced."""
    counted = _number(done) or 0
    return encode(
        {
            "done": counted,
            "total": None if total is None else _number(total),
            "note": cut(note, MAX_NOTE, "a note is shorter"),
            "at": utcnow().isoformat(timespec="milliseconds"),
        }
    )


def stored_progress(text: str) -> StoredProgress:
    """Return what ``text_of_progress`` has stored. Raises one of ``unreadable.NOT_OURS`` if somebody has edited it."""
    stored = decode(text)
    if not isinstance(stored, Mapping):
        raise TypeError("it is not a JSON object")
    total = stored["total"]
    at = datetime.fromisoformat(stored["at"])
    if at.tzinfo is None:
        raise ValueError("its time has no zone")
    return StoredProgress(
        done=_number(stored["done"]) or 0,
        total=None if total is None else _number(total),
        note=str(stored["note"]),
        at=at,
    )


def _number(value: Number) -> Number | None:
    """Return ``value`` from 0 to ``LARGEST``; ``None`` if it is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return min(max(value, 0), LARGEST)
