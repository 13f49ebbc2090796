"""The object behind the fixture ``loco_jobs`` of pytest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..core.compat import Task, TaskResult
from .assertions.enqueued import all_enqueued, assert_enqueued, refute_enqueued
from .assertions.expectation import call_text
from .running import drain, run_job


class EnqueuedJobs:
    """The waiting jobs of this test: their results in the order of ``enqueue()``, and methods to check and run them.

    ``loco_jobs(task, queue)`` returns some of them as a list. The methods are the functions of ``django_loco.testing``.
    """

    assert_enqueued = staticmethod(assert_enqueued)
    refute_enqueued = staticmethod(refute_enqueued)
    drain = staticmethod(drain)
    run_job = staticmethod(run_job)

    def __call__(self, task: Task[..., Any] | None = None, queue: str | None = None) -> list[TaskResult[..., Any]]:
        """Return the jobs of ``task``, on the queue with this name. See ``all_enqueued``."""
        return all_enqueued(task, queue)

    def __iter__(self) -> Iterator[TaskResult[..., Any]]:
        return iter(all_enqueued())

    def __len__(self) -> int:
        return len(all_enqueued())

    def __getitem__(self, index: int) -> TaskResult[..., Any]:
        return all_enqueued()[index]

    def __repr__(self) -> str:
        calls = [call_text(result.task.module_path, result.args, result.kwargs) for result in all_enqueued()]
        return f"[{', '.join(calls)}]"
