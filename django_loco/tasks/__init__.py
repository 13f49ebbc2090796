"""Tasks: declaring them, loading them by path, and their results.

``from django_loco.tasks import task, enqueue_many``
"""

from ..core.compat import InvalidTask, TaskResult, TaskResultDoesNotExist
from ..core.job.retry import backoff_function
from ..exceptions import Discard, Interrupted, Snooze, Throttled
from ..jobs.operations.batches.batch import Batch, batch
from ..jobs.operations.workflows.chains import chain, group
from ..jobs.operations.workflows.declaring import Node
from ..jobs.operations.workflows.signatures import Signature
from ..jobs.operations.workflows.workflow import Workflow
from .decorator import LocoTask, task
from .enqueueing.many import aenqueue_many, enqueue_many

__all__ = [
    "Batch",
    "Discard",
    "Interrupted",
    "InvalidTask",
    "LocoTask",
    "Node",
    "Signature",
    "Snooze",
    "TaskResult",
    "TaskResultDoesNotExist",
    "Throttled",
    "Workflow",
    "aenqueue_many",
    "backoff_function",
    "batch",
    "chain",
    "enqueue_many",
    "group",
    "task",
]
