"""Operations on many jobs: prints what each takes, as JSON objects, one a line.

``python mass_operations.py JOBS ROUNDS``, in a Django site with empty tables.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import django

TICKS = os.sysconf("SC_CLK_TCK")
TRACEBACK = "Traceback:\n" + '  File "shop/tasks.py", line 7, in send\n' * 10 + "TimeoutError: 30 s\n"


def main() -> None:
    django.setup()
    from django_loco.queues import queue_for  # noqa: PLC0415 - when Django is set up
    from large_store import BATCH, batched  # noqa: PLC0415

    queue, count = queue_for("default"), int(sys.argv[1])
    for _ in range(int(sys.argv[2])):
        for state, operation, act in operations():
            queue.clear()
            for batch in batched(stored_jobs(state, count), BATCH):
                queue.restore(batch)
            print(json.dumps({"operation": operation, **cost_of(act, queue, count)}), flush=True)


def operations() -> Iterator[tuple[str, str, Callable[[], int]]]:
    """Yield the state of some jobs, the name of what is done with all of them, and the function."""
    from django_loco import jobs  # noqa: PLC0415 - when Django is set up

    waiting = jobs.filter("status:waiting")
    yield "failed", "retry failed jobs", jobs.filter("status:failed").retry
    yield "waiting", "cancel waiting jobs", waiting.cancel
    yield "done", "delete finished jobs", jobs.filter("status:done").delete
    yield "waiting", "move waiting jobs to another queue", lambda: waiting.move(queue="emails")
    yield "waiting", "change the priority of waiting jobs", lambda: waiting.update(priority=7)
    for text in ("task:none", "args.a:none"):
        yield "done", f"search for `{text}`, which no job has", lambda text=text: jobs.filter(text).count()  # type: ignore[misc]


def stored_jobs(state: str, count: int) -> Iterator[Any]:
    """Yield jobs in a state, one of ten with a tag."""
    from django_loco.core.compat import TaskError  # noqa: PLC0415 - when Django is set up
    from django_loco.core.job import FAILED, SUCCESSFUL  # noqa: PLC0415
    from large_store import waiting_jobs  # noqa: PLC0415

    error = TaskError(exception_class_path="builtins.TimeoutError", traceback=TRACEBACK)
    failed = {"status": FAILED, "errors": (error,)}
    end = {"waiting": {}, "failed": failed, "done": {"status": SUCCESSFUL, "return_value": "3"}}[state]
    for job in waiting_jobs(count, 0.0):
        at = job.enqueued_at
        run = {"started_at": at, "last_attempted_at": at, "finished_at": at, "worker_ids": ("w",)} if end else {}
        yield replace(job, queue_name="default", **run, **end)


def cost_of(operation: Callable[[], int], queue: Any, count: int) -> dict[str, float]:
    """Do an operation; return how many jobs per second it did, and its microseconds of processor time per job."""
    began, client, server = time.perf_counter(), time.process_time(), server_seconds(queue)
    found = operation()
    seconds, client, server = (
        time.perf_counter() - began,
        time.process_time() - client,
        server_seconds(queue) - server,
    )
    assert found in (count, 0), f"{found:,} jobs"  # noqa: S101
    return {"rate": count / seconds, "client": 1e6 * client / count, "server": 1e6 * server / count}


def server_seconds(queue: Any) -> float:
    """Return the processor time that the server of the store has spent so far: on PostgreSQL, on this connection."""
    from django.db import connection  # noqa: PLC0415 - when Django is set up
    from django_loco.queues.redis import RedisQueue  # noqa: PLC0415

    if isinstance(queue, RedisQueue):
        told = queue.server.info("cpu")
        return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        fields = Path(f"/proc/{cursor.fetchone()[0]}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    main()
