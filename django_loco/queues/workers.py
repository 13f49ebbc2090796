"""What a queue knows of the workers that take jobs from it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime

from ..core.job import utcnow


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """One worker, as it described itself with its last heartbeat."""

    worker_id: str
    """The name under which it holds jobs."""

    host: str
    pid: int
    queues: tuple[str, ...] | None
    """Names of the queues that it takes jobs from; ``None``: all."""

    tags: tuple[str, ...] | None
    """``None``: jobs with any tags; ``()``: only without; else only with one of these."""

    threads: int
    """How many sync jobs it runs at once."""

    coroutines: int
    """How many async jobs it runs at once."""

    lease: float
    """Seconds after its last heartbeat at which it is presumed dead."""

    started_at: datetime
    busy: int = 0
    """How many jobs it held at its last heartbeat."""

    heartbeat_age: float = 0.0
    """Seconds since its last heartbeat, by the queue's clock."""

    @property
    def is_alive(self) -> bool:
        """Whether its last heartbeat is younger than its lease."""
        return self.heartbeat_age <= self.lease

    def serves(self, queue_name: str) -> bool:
        """Whether it takes jobs from a queue of this name, some tags apart."""
        return self.queues is None or queue_name in self.queues

    def beating(self, busy: int) -> WorkerInfo:
        """Return it with the number of jobs that it holds now."""
        return replace(self, busy=busy)


class WorkerRegistry(ABC):
    """The workers of one queue. Methods raise ``QueueUnavailable`` as those of the queue do."""

    @abstractmethod
    def register(self, worker: WorkerInfo) -> None:
        """Note that ``worker`` lives. It calls this again with each heartbeat."""

    @abstractmethod
    def unregister(self, worker_id: str) -> bool:
        """Forget a worker; return whether it was known. Of several callers at once, one gets ``True``."""

    @abstractmethod
    def workers(self) -> Sequence[WorkerInfo]:
        """Return the workers that are known, also those that have died and that nobody has unregistered."""


FIELDS = frozenset(field.name for field in fields(WorkerInfo))


def text_of_worker(worker: WorkerInfo) -> str:
    """Return ``worker`` as one line of JSON, without its heartbeat, which the queue's clock tells."""
    told = asdict(worker) | {"started_at": worker.started_at.isoformat()}
    del told["heartbeat_age"]
    return json.dumps(told, separators=(",", ":"))


def worker_of_text(worker_id: str, text: str, age: float) -> WorkerInfo:
    """Return what ``text_of_worker`` was given; of a text that cannot be read, a worker of which little is known.

    ``age``: seconds since its last heartbeat. What only a newer version knows to tell is left out.
    """
    try:
        told = json.loads(text)
        return WorkerInfo(
            **{name: value for name, value in told.items() if name in FIELDS}
            | {
                "worker_id": worker_id,
                "queues": _names(told["queues"]),
                "tags": _names(told["tags"]),
                "started_at": datetime.fromisoformat(told["started_at"]),
                "heartbeat_age": max(0.0, age),
                "lease": float(told["lease"]),
            }
        )
    except (ValueError, TypeError, LookupError, AttributeError):
        return WorkerInfo(
            worker_id=worker_id, host="", pid=0, queues=(), tags=None, threads=0, coroutines=0, lease=0.0,
            started_at=utcnow(), heartbeat_age=max(0.0, age),
        )  # fmt: skip


def _names(found: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if found is None else tuple(map(str, found))
