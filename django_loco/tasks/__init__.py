"""Tasks: declaring them, loading them by path, and their results.

``from django_loco.tasks import task, enqueue_many``
"""

from ..core.compat import InvalidTask, TaskResult, TaskResultDoesNotExist
from ..core.retry import backoff_function
from ..exceptions import Discard, Interrupted, Snooze
from .decorator import LocoTask, aenqueue_many, enqueue_many, task

__all__ = [
    "Discard",
    "Interrupted",
    "InvalidTask",
    "LocoTask",
    "Snooze",
    "TaskResult",
    "TaskResultDoesNotExist",
    "aenqueue_many",
    "backoff_function",
    "enqueue_many",
    "task",
]
