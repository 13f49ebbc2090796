"""Workers, and the codes of reasons."""

from __future__ import annotations

from typing import Any

from django_loco import jobs
from django_loco.core.job import utcnow
from django_loco.queues.workers import WorkerInfo


def worker(**given: Any) -> WorkerInfo:
    described: dict[str, Any] = {
        "worker_id": "w",
        "host": "h",
        "pid": 1,
        "queues": None,
        "tags": None,
        "threads": 2,
        "coroutines": 2,
        "lease": 30.0,
        "started_at": utcnow(),
    }
    return WorkerInfo(**described | given)


def codes(job: Any) -> list[str]:
    return [reason.code for reason in jobs.why(job)]
