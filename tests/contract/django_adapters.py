"""Our backend with the surface that Django's tests expect of its built-in ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from django_loco import runtime
from django_loco.backend import LocoBackend
from django_loco.compat import Task, TaskResult, TaskResultDoesNotExist
from django_loco.results import result_of

SECONDS = 30


class RecordingBackend(LocoBackend):
    """In place of Django's dummy backend: what is enqueued waits, and can be looked at."""

    @property
    def results(self) -> list[TaskResult[..., Any]]:
        """What was enqueued, the oldest first."""
        return [result_of(job) for job in reversed(self.queue.list())]

    def clear(self) -> None:
        self.queue.clear()


class EagerBackend(LocoBackend):
    """In place of Django's immediate backend: ``enqueue`` returns when a worker has run the job to its end."""

    def enqueue(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult[..., Any]:
        result = super().enqueue(task, args, kwargs)
        run_what_waits(self.alias)
        with suppress(TaskResultDoesNotExist):  # in a transaction that it waits for
            result.refresh()
        return result


def run_what_waits(alias: str) -> None:
    """Let a real worker run every job that is due."""
    worker = runtime.worker_for(alias, threads=1, coroutines=1, drain=True)
    worker.start()
    assert worker.join(SECONDS), "the worker did not end"
