"""The tables of django-loco."""

from .admin_proxies import LocoJob, LocoWorker
from .batch import StoredBatch
from .job import JobIdField, StoredJob
from .limit import StoredLimit
from .lock import StoredLock
from .minute import StoredMinute
from .pauses import PausedQueue, StoredJobPause
from .schedule import Schedule, ScheduleState
from .tag_triggers import keep_triggers
from .waiting_tag import WaitingTag
from .worker import StoredWorker
from .workflow_edge import StoredWorkflowEdge

__all__ = [
    "JobIdField",
    "LocoJob",
    "LocoWorker",
    "PausedQueue",
    "Schedule",
    "ScheduleState",
    "StoredBatch",
    "StoredJob",
    "StoredJobPause",
    "StoredLimit",
    "StoredLock",
    "StoredMinute",
    "StoredWorker",
    "StoredWorkflowEdge",
    "WaitingTag",
    "keep_triggers",
]
