"""Our backend with the surface that Django's tests expect of its built-in ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from django.db import connection, connections

from django_loco.backend import LocoBackend
from django_loco.core.compat import Task, TaskResult
from django_loco.tasks.results import result_of
from django_loco.worker import in_process

SECONDS = 30
P = ParamSpec("P")
R = TypeVar("R")


class RecordingBackend(LocoBackend):
    """In place of Django's dummy backend: what is enqueued waits, and can be looked at."""

    @property
    def results(self) -> list[TaskResult[..., Any]]:
        """What was enqueued, the oldest first."""
        return [result_of(job) for job in reversed(_off_loop(self.queue.list))]

    def clear(self) -> None:
        self.queue.clear()

    def get_result(self, result_id: str) -> TaskResult[..., Any]:
        return _off_loop(super().get_result, result_id)


class EagerBackend(RecordingBackend):
    """In place of Django's immediate backend: ``enqueue`` returns when a worker has run the job to its end.

    Inside ``atomic()`` that cannot be: no worker sees the job before the commit.
    """

    def enqueue(  # type: ignore[override]
        self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> TaskResult[..., Any]:
        result = super().enqueue(task, args, kwargs)
        if not connection.in_atomic_block:
            run_what_waits(self.alias)
            result.refresh()
        return result


def run_what_waits(alias: str) -> None:
    """Let a real worker run every job that is due."""
    worker = in_process.worker_for(alias, threads=1, coroutines=1, drain=True)
    worker.start()
    assert worker.join(SECONDS), "the worker did not end"


def _off_loop(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call ``function``, from an event loop in a thread of its own.

    Django's async tests look at results without ``await``, which its built-in backends allow: they do no I/O.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function(*args, **kwargs)

    def call() -> R:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()
