"""The progress of a job, as the job itself reports it with ``context.progress``.

The stored form is JSON text of an object: ``done``, ``total``, ``note``, and ``at``, the time at which it was stored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from ...core.job import SUCCESSFUL, Job, utcnow
from ...core.serialization import cut, decode, encode
from ...log.plain_text import one_line
from ...queues.rows.unreadable import NOT_OURS
from .numbers import number_text

Number = int | float
#: The largest number that is stored, and the number of bytes of a note.
LARGEST, MAX_NOTE = 10**15, 1_000


@dataclass(frozen=True, slots=True)
class JobProgress:
    """The progress of a job: ``result.progress``."""

    done: Number
    """0 or more."""

    total: Number | None
    """``None``: nobody knows."""

    note: str
    at: datetime
    """When it was stored, aware and in UTC."""

    has_succeeded: bool = False
    """Whether the job has succeeded."""

    @property
    def percent(self) -> float | None:
        """From 0 to 100; ``None`` if there is no ``total``. A job that has succeeded has 100."""
        if self.has_succeeded:
            return 100.0
        if self.total is None:
            return None
        return 100.0 if self.done >= self.total else 100 * self.done / self.total

    def __str__(self) -> str:
        """Return the progress for people, on one line: ``1,200 of 5,000 (24 %): customers``."""
        text = self._numbers()
        return f"{text}: {one_line(self.note)}" if self.note else text

    def _numbers(self) -> str:
        values = {
            "done": number_text(self.done),
            "total": "" if self.total is None else number_text(self.total),
            "percent": "" if self.percent is None else math.floor(self.percent),
        }
        if self.percent is None:
            return str(values["done"])
        text = _("%(done)s (%(percent)s %%)") if self.total is None else _("%(done)s of %(total)s (%(percent)s %%)")
        return text % values


def progress_text(done: Number, total: Number | None, note: str) -> str:
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


def progress_of(job: Job) -> JobProgress | None:
    """Return the progress of ``job``; ``None`` if it has not reported any, or its report cannot be read."""
    if job.progress is None:
        return None
    try:
        return _progress(decode(job.progress), has_succeeded=job.status == SUCCESSFUL)
    except NOT_OURS:
        return None


def _progress(stored: Any, *, has_succeeded: bool) -> JobProgress:
    if not isinstance(stored, Mapping):
        raise TypeError("it is not a JSON object")
    total = stored["total"]
    at = datetime.fromisoformat(stored["at"])
    if at.tzinfo is None:
        raise ValueError("its time has no zone")
    return JobProgress(
        done=_number(stored["done"]) or 0,
        total=None if total is None else _number(total),
        note=str(stored["note"]),
        at=at,
        has_succeeded=has_succeeded,
    )


def _number(value: Number) -> Number | None:
    """Return ``value`` from 0 to ``LARGEST``; ``None`` if it is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return min(max(value, 0), LARGEST)
