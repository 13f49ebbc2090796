"""Each worker and each scheduler as the page of workers shows it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from .... import jobs
from ....core.job import Job
from ....jobs.page_parts.scope import SHOWN_SCHEDULERS, SHOWN_WORKERS
from ....jobs.presentation.age import age
from ....jobs.presentation.numbers import number_text
from ....log.plain_text import one_line, plain
from ....queues.workers import Role, WorkerState
from ...charts.durations import coarse
from ...links import job_url, list_url
from .facts import WorkersRead

#: The most running jobs that are shown of one worker.
SHOWN = 5
#: The most queues without a worker that are named.
UNSERVED = 10
MEGABYTE = 1024 * 1024


def parts_of(read: WorkersRead, *, may_control: bool) -> dict[str, dict[str, Any]]:
    """Return the context of each part by its name."""
    shown = read.workers[:SHOWN_WORKERS]
    rows = [_row(worker, read.running.get(worker.worker_id, ()), may_control) for worker in shown]
    alive = [worker for worker in read.workers if worker.is_alive]
    return {
        "unserved": {
            "queues": [_unserved(each) for each in read.unserved[:UNSERVED]],
            "others": max(0, len(read.unserved) - UNSERVED),
        },
        "list": {
            "rows": rows,
            "more": len(read.workers) - len(shown),
            "has_aliases": len(jobs.aliases()) > 1,
            "may_control": may_control,
            "alive": len(alive),
            "busy": sum(worker.busy for worker in alive),
            "slots": sum(worker.threads + worker.coroutines for worker in alive),
        },
        "schedulers": {
            "rows": [_scheduler(each, read.at) for each in read.schedulers[:SHOWN_SCHEDULERS]],
            "more": max(0, len(read.schedulers) - SHOWN_SCHEDULERS),
            "alive": sum(each.is_alive for each in read.schedulers),
        },
    }


def _unserved(queue: jobs.QueueStats) -> dict[str, Any]:
    return {
        "name": one_line(queue.queue),
        "number": int(queue.ready),
        "ready": queue.ready.text,
        "url": list_url(("queue", queue.queue), ("backend", queue.backend)),
    }


def _row(worker: jobs.AliasWorker, running: Sequence[Job], may_control: bool) -> dict[str, Any]:
    slots = worker.threads + worker.coroutines
    return {
        **_process(worker),
        "id": f"w-{worker.worker_id}",
        "value": json.dumps([worker.backend, worker.worker_id]),
        "alias": one_line(worker.backend),
        "role": one_line(worker.role),
        "queues": None if worker.queues is None else one_line(", ".join(worker.queues)),
        "slots": slots,
        "busy_width": round(100 * min(1.0, worker.busy / slots)) if slots else 0,
        "memory": f"{number_text(round(worker.memory / MEGABYTE))} MB" if worker.memory else "",
        "version": one_line(worker.version),
        "lease": age(worker.lease),
        "running": [_job(job) for job in running[:SHOWN]],
        "more": max(0, worker.busy - SHOWN) if len(running) > SHOWN else 0,
        "url": list_url(("status", "running"), ("worker", worker.worker_id)),
        "stacks": plain(worker.stacks) if may_control else "",
        **_buttons(worker, may_control),
    }


def _scheduler(scheduler: jobs.AliasWorker, now: datetime) -> dict[str, Any]:
    heartbeat_at = now - timedelta(seconds=scheduler.heartbeat_age)
    return {
        **_process(scheduler),
        "id": f"scheduler-{scheduler.worker_id}",
        # In whole seconds, so that the part changes with each heartbeat, but not with each reading.
        "heartbeat_at": heartbeat_at.replace(microsecond=0),
    }


def _process(worker: jobs.AliasWorker) -> dict[str, Any]:
    """Return the values that workers and schedulers have in common."""
    return {
        "worker": worker,
        "name": one_line(worker.worker_id),
        "host": one_line(worker.host),
        "release": one_line(worker.release),
        "tags": None if worker.tags is None else one_line(", ".join(worker.tags)),
        "state": _state(worker),
        "is_late": worker.is_late,
        "silent": coarse(worker.heartbeat_age),
    }


def _state(worker: jobs.AliasWorker) -> str:
    """Return the worker's state as one of four words."""
    if not worker.is_alive:
        return "dead"
    known = (WorkerState.QUIET, WorkerState.STOPPING)
    return str(worker.state) if worker.state in known else str(WorkerState.RUNNING)


def _buttons(worker: jobs.AliasWorker, may_control: bool) -> dict[str, bool]:
    """Return which buttons to show: only commands that the worker would obey."""
    can = may_control and worker.is_alive and worker.role in (Role.WORKER, Role.SHARED)
    return {
        "may_quiet": can and worker.state == WorkerState.RUNNING,
        "may_resume": can and worker.state == WorkerState.QUIET,
        "may_ask": can,
        "may_stop": can and worker.role == Role.WORKER and worker.state != WorkerState.STOPPING,
    }


def _job(job: Job) -> dict[str, str]:
    path = one_line(job.task_path)
    return {"name": path.rpartition(".")[2], "path": path, "url": job_url(job.id)}
