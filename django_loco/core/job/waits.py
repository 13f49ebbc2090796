"""The sleeps and waits of a job, and the signals that were sent to it: JSON texts in fields of the job.

``Job.waits`` is an object: for each name ``[kind, until]``, where ``until`` is a time in ISO format, or ``null`` for a
wait without an end. The run writes it. A wait is over when the job has a step of its name.

``Job.signals`` is an object: for each name ``{"value": ...}``, or ``{"timed_out": true}`` if the time of the wait ran
out first. Senders write it, and so does the run when a time runs out. Both write only if the text has not changed since
they read it. So a signal either comes in time or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .clock import FOREVER
from .job import READY, Job

_encoded = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
SLEEP, SIGNAL = "sleep", "signal"
#: The value of a signal that did not come in time.
TIMED_OUT: Mapping[str, Any] = {"timed_out": True}


@dataclass(frozen=True, slots=True)
class Wait:
    """A sleep, or a wait for a signal."""

    name: str
    kind: str
    """``SLEEP`` or ``SIGNAL``."""

    until: datetime | None
    """The end, aware; ``None``: there is none."""

    @property
    def is_signal(self) -> bool:
        """Whether it waits for a signal."""
        return self.kind == SIGNAL

    @property
    def due_at(self) -> datetime:
        """When the job runs again if nothing happens before."""
        return self.until or FOREVER


def waits_of(job: Job) -> dict[str, Wait]:
    """Return all sleeps and waits that ``job`` has begun, the last one last, by their names.

    Raises one of ``unreadable.NOT_OURS`` if somebody has edited the text.
    """
    stored = {} if job.waits is None else json.loads(job.waits)
    return {
        name: Wait(name, kind, None if until is None else datetime.fromisoformat(until))
        for name, (kind, until) in stored.items()
    }


def text_of_waits(waits: Mapping[str, Wait]) -> str:
    """Return ``waits`` as JSON text, which ``waits_of`` reads."""
    return _encoded(
        {name: [wait.kind, None if wait.until is None else wait.until.isoformat()] for name, wait in waits.items()}
    )


def pending_wait(job: Job) -> Wait | None:
    """Return the first of ``pending_waits``; ``None`` if there is none."""
    return next(iter(pending_waits(job)), None)


def pending_waits(job: Job) -> list[Wait]:
    """Return the sleeps and waits of ``job`` that are not over, the first to end first. The job runs when any ends."""
    if job.waits is None or job.run_after is None or job.status != READY:
        return []
    try:
        done = {} if job.steps is None else json.loads(job.steps)
        found = [wait for name, wait in waits_of(job).items() if name not in done and wait.due_at >= job.run_after]
    except (ValueError, TypeError, AttributeError, RecursionError):  # somebody has edited the store
        return []
    found.sort(key=lambda wait: wait.due_at)
    return found if found and found[0].due_at == job.run_after else []


def signals_of(job: Job) -> dict[str, Any]:
    """Return the signals that were sent to ``job``, by their names."""
    return {} if job.signals is None else dict(json.loads(job.signals))


def text_of_signals(signals: Mapping[str, Any]) -> str | None:
    """Return ``signals``, with JSON values, as the text that ``signals_of`` reads."""
    return _encoded(dict(signals)) if signals else None
