"""``enqueue_many``: several calls of a task at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

from ...core.compat import Task, TaskResult
from ...core.serialization import call_of
from ...exceptions import LocoConfigurationError
from ...jobs.operations.workflows.declaring import required_task

R = TypeVar("R")
Call = tuple[Any, ...] | Mapping[str, Any] | Any


def enqueue_many(task: Task[..., R], calls: Iterable[Call]) -> list[TaskResult[..., R]]:
    """Enqueue one job per item of ``calls``, all or none, in one round trip to the queue.

    An item is a tuple of positional arguments, a dict of keyword arguments, or any other value as the only argument:
    ``enqueue_many(send, [1, 2])``, ``enqueue_many(move, [(1, "a"), {"pk": 2, "to": "b"}])``.

    Returns the results in the order of ``calls``. Raises ``LocoConfigurationError`` if the backend of ``task`` is not
    django-loco's, and the same errors as ``task.enqueue()``.
    """
    backend = required_task(task).get_backend()
    if not hasattr(backend, "enqueue_many"):
        raise LocoConfigurationError(
            f"enqueue_many() needs a task on django_loco.backend.LocoBackend; "
            f"TASKS[{task.backend!r}]['BACKEND'] is {type(backend).__module__}.{type(backend).__qualname__}."
        )
    return backend.enqueue_many(task, [call_of(item) for item in calls])  # type: ignore[no-any-return]


async def aenqueue_many(task: Task[..., R], calls: Iterable[Call]) -> list[TaskResult[..., R]]:
    """``enqueue_many`` for async code. Does not block the event loop."""
    return await sync_to_async(enqueue_many, thread_sensitive=True)(task, calls)
