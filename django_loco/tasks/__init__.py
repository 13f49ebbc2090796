"""Tasks: declaring them, loading them by path, and their results.

``from django_loco.tasks import task, enqueue_many``
"""

from ..core.compat import InvalidTask, TaskResult, TaskResultDoesNotExist
from ..core.retry import backoff_function
from ..exceptions import Discard, Interrupted, Snooze
from ..jobs.operations.batches.batch import Batch, batch
from .decorator import LocoTask, aenqueue_many, enqueue_many, task

__all__ = [
    "Batch",
    "Discard",
    "Interrupted",
    "InvalidTask",
    "LocoTask",
    "Snooze",
    "TaskResult",
    "TaskResultDoesNotExist",
    "aenqueue_many",
    "backoff_function",
    "batch",
    "enqueue_many",
    "task",
]
