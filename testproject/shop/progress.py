"""What the page shows of background jobs, as plain values: rendered by the template first, then polled as JSON.

Nothing here is estimated. What is done, the index says: it counts the products that a re-index has brought. What
waits and what runs, the queue says. How a job that failed fared, its result says.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from django_loco.conf import loco_settings, worker_mode
from django_loco.core.compat import TaskResult, TaskResultDoesNotExist, TaskResultStatus
from django_loco.core.serialization import decode_call
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import queue_for

from . import reindex, search
from .models import PriceRefresh, Reindex, Trial
from .service import ServiceUnavailable
from .tasks import fail_on_purpose, index_product

SHOWN = 5
NOTHING_YET = "\N{EN DASH}"
MODES = {
    "BackgroundAsync": "Jobs run in this process, beside the requests, and wait in its memory.",
    "BackgroundQueue": "Jobs wait in {} and run in any worker, in this process or another.",
    "ForegroundBlocking": "Jobs run inside the request that enqueues them.",
}
PLACES = {"database": "the database", "redis": "Redis"}


def setup() -> dict[str, Any]:
    """Return how jobs are run here; that changes only with the settings."""
    backend = index_product.get_backend()
    mode = worker_mode(backend.alias, backend.options)
    queue = type(queue_for(backend.alias)).__name__.removesuffix("Queue").lower()
    return {
        "mode": mode,
        "meaning": MODES[mode].format(PLACES.get(queue, queue)),
        "queue": queue,
        "threads": loco_settings().NUM_WORKERS,
        "coroutines": loco_settings().ASYNC_WORKERS,
    }


def snapshot() -> dict[str, Any]:
    """Return all that changes by itself. While the queue is away, the page says so and the shop goes on."""
    try:
        return _snapshot()
    except QueueUnavailable as error:
        empty: dict[str, Any] = {"documents": NOTHING_YET, "run": None, "failures": []}
        return empty | {"problem": str(error), "prices": _prices()}


def _snapshot() -> dict[str, Any]:
    run = Reindex.objects.order_by("-created_at").first()
    unfinished = reindex.unfinished()  # before the index is asked, or jobs that end in between would seem lost
    try:
        index = search.status(str(run.pk) if run else "")
    except ServiceUnavailable as error:
        index, problem = {"documents": 0, "run": None}, str(error)
    else:
        problem = ""
    return {
        "problem": problem,
        "documents": f"{index['documents']:,}",
        "run": _run(run, index["run"] or {"documents": 0, "seconds": 0.0}, unfinished) if run else None,
        "failures": failures(run),
        "prices": _prices(),
    }


def _run(run: Reindex, seen: dict[str, Any], unfinished: tuple[int, int]) -> dict[str, Any]:
    products, seconds = seen["documents"], seen["seconds"]
    done = products * run.jobs // run.products  # each job brings as many products as the others
    state = _state(run, products, *unfinished)
    return {
        "id": run.pk,
        "state": state,
        "title": f"{run.jobs:,} {run.get_kind_display()}",
        "headline": _headline(run, state, missing=run.products - products),
        "percent": 100 * products // run.products,
        "waiting": f"{unfinished[0]:,}",
        "running": f"{unfinished[1]:,}",
        "done": f"{done:,}",
        "failed": f"{len(_failed(run)):,}",
        "seconds": f"{seconds:.2f} s" if seconds else NOTHING_YET,
        "rate": f"{done / seconds:,.0f}" if seconds else NOTHING_YET,
        "enqueued_in": f"{run.enqueued_in:.2f} s" if run.enqueued_in else NOTHING_YET,
    }


def _state(run: Reindex, products: int, waiting: int, running: int) -> str:
    if waiting and not running and not products:
        return "waiting"
    if waiting or running or run.enqueued_in is None:
        return "running"
    return "done" if products >= run.products else "short"


def _headline(run: Reindex, state: str, missing: int) -> str:
    match state:
        case "waiting":
            return "No worker has taken a job yet. One runs with “manage.py loco_worker”."
        case "running":
            return "At work…"
        case "done":
            return f"All {run.products:,} products are in the index."
        case _:
            return f"Ended with {missing:,} products missing: their jobs failed, or went down with their process."


def _failed(run: Reindex | None) -> list[Any]:
    """Return the jobs of ``run`` that have failed for good: 2,500 at most, and none on most days."""
    if run is None:
        return []
    name = str(run.pk)
    jobs = queue_for(index_product.backend).list(status=TaskResultStatus.FAILED, limit=run.jobs)
    return [job for job in jobs if job.queue_name == reindex.QUEUE_NAME and decode_call(job.arguments)[0][-1] == name]


def failures(run: Reindex | None) -> list[dict[str, Any]]:
    """Return the latest jobs that were asked to fail, and those that failed unasked, the newest first."""
    asked = [trial.result_id for trial in Trial.objects.order_by("-pk")[:SHOWN]]
    unasked = [job.id for job in _failed(run)[:SHOWN]]
    results = [_result(result_id) for result_id in sorted({*asked, *unasked}, reverse=True)]  # ids sort by time
    return [_failure(result) for result in results if result is not None]


def _result(result_id: str) -> TaskResult[..., Any] | None:
    """Results are kept for ``RESULT_TTL``, and those in memory for as long as their process lives."""
    try:
        return fail_on_purpose.get_backend().get_result(result_id)
    except TaskResultDoesNotExist:
        return None


def _failure(result: TaskResult[..., Any]) -> dict[str, Any]:
    return {
        "id": result.id,
        "task": result.task.name,
        "status": result.status.lower(),
        "story": _story(result),
        "errors": [error.traceback.strip().rpartition("\n")[2] for error in result.errors],
        "at": _clock(result.enqueued_at),
    }


def _story(result: TaskResult[..., Any]) -> str:
    match result.status:
        case TaskResultStatus.SUCCESSFUL:
            return f"done at attempt {result.attempts}"
        case TaskResultStatus.FAILED:
            return f"failed after {result.attempts} attempt{'s'[: result.attempts > 1]}"
        case TaskResultStatus.RUNNING:
            return f"attempt {result.attempts} runs"
        case _ if result.errors:
            return f"attempt {result.attempts + 1} follows at {_clock(result.task.run_after)}"
        case _:
            return "waits for its first attempt"


def _prices() -> dict[str, Any] | None:
    last = PriceRefresh.objects.order_by("-pk").first()
    return {"at": _clock(last.created_at), "changed": last.changed} if last else None


def _clock(moment: datetime | None) -> str:
    return timezone.localtime(moment).strftime("%H:%M:%S") if moment else ""
