"""Tasks: declaring them, loading them by path, and their results.

``from django_loco.tasks import task, enqueue_many``
"""

from .decorator import (
    InvalidTask,
    LocoTask,
    TaskResult,
    TaskResultDoesNotExist,
    aenqueue_many,
    backoff_function,
    enqueue_many,
    task,
)

__all__ = [
    "InvalidTask",
    "LocoTask",
    "TaskResult",
    "TaskResultDoesNotExist",
    "aenqueue_many",
    "backoff_function",
    "enqueue_many",
    "task",
]
