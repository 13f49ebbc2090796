"""Helpers for tests of projects that use django-loco, and the contract test for queues of other projects."""

from .assertions.enqueued import all_enqueued, assert_enqueued, refute_enqueued
from .cases import JobTestMixin
from .clock import travel
from .contract import QueueContract
from .live import LiveWorker, live_worker
from .running import drain, run_job
from .schedules import due

__all__ = [
    "JobTestMixin",
    "LiveWorker",
    "QueueContract",
    "all_enqueued",
    "assert_enqueued",
    "drain",
    "due",
    "live_worker",
    "refute_enqueued",
    "run_job",
    "travel",
]
