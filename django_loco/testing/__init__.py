"""Helpers for tests of projects that use django-loco, and the contract test for queues of other projects."""

from .contract import QueueContract
from .jobs import all_enqueued, assert_enqueued, drain, refute_enqueued, run_job

__all__ = ["QueueContract", "all_enqueued", "assert_enqueued", "drain", "refute_enqueued", "run_job"]
