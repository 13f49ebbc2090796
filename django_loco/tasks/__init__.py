"""Tasks: how they are declared, found by name and given back as results.

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
