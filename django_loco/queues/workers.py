"""Describes the workers that take jobs from a queue: the entries of its registry of workers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime

from ..core.job import utcnow


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """One worker, as it described itself with its last heartbeat."""

    worker_id: str
    """The id with which it holds jobs."""

    host: str
    pid: int
    queues: tuple[str, ...] | None
    """The names of the queues that it takes jobs from; ``None``: all."""

    tags: tuple[str, ...] | None
    """``None``: jobs with any tags; ``()``: only jobs without tags; otherwise only jobs with one of these."""

    threads: int
    """The number of sync jobs that it runs at once."""

    coroutines: int
    """The number of async jobs that it runs at once."""

    lease: float
    """Seconds after its last heartbeat at which it is presumed dead."""

    started_at: datetime
    version: str = ""
    """The version of django-loco that it runs; empty if that did not say so yet."""

    busy: int = 0
    """The number of jobs that it held at its last heartbeat."""

    heartbeat_age: float = 0.0
    """Seconds since its last heartbeat, by the queue's clock."""

    @property
    def is_alive(self) -> bool:
        """Whether its last heartbeat is younger than its lease."""
        return self.heartbeat_age <= self.lease

    def serves(self, queue_name: str) -> bool:
        """Whether it takes jobs from the queue ``queue_name``. Does not consider tags."""
        return self.queues is None or queue_name in self.queues

    def beating(self, busy: int) -> WorkerInfo:
        """Return a copy with the number of jobs that it holds now."""
        return replace(self, busy=busy)


FIELDS = frozenset(field.name for field in fields(WorkerInfo))


def text_of_worker(worker: WorkerInfo) -> str:
    """Return ``worker`` as one line of JSON, without its heartbeat, which the queue stores by its own clock."""
    values = asdict(worker) | {"started_at": worker.started_at.isoformat()}
    del values["heartbeat_age"]
    return json.dumps(values, separators=(",", ":"))


def worker_of_text(worker_id: str, text: str, age: float) -> WorkerInfo:
    """Return what ``text_of_worker`` was given; for a text that cannot be read, a worker with its id alone.

    ``age``: seconds since its last heartbeat. Unknown fields, which a newer release has stored, are ignored.
    """
    try:
        values = json.loads(text)
        return WorkerInfo(
            **{name: value for name, value in values.items() if name in FIELDS}
            | {
                "worker_id": worker_id,
                "queues": _names(values["queues"]),
                "tags": _names(values["tags"]),
                "started_at": datetime.fromisoformat(values["started_at"]),
                "heartbeat_age": max(0.0, age),
                "lease": float(values["lease"]),
            }
        )
    except (ValueError, TypeError, LookupError, AttributeError):
        return WorkerInfo(
            worker_id=worker_id, host="", pid=0, queues=(), tags=None, threads=0, coroutines=0, lease=0.0,
            started_at=utcnow(), heartbeat_age=max(0.0, age),
        )  # fmt: skip


def _names(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(map(str, names))
