"""The workers of this process that the settings ask for, and the jobs that wait in memory when it ends."""

from .workers import (
    ensure_started,
    has_closed,
    has_worker,
    leave_to_supervisor,
    resume,
    run_in_foreground,
    serves,
    started,
    stop,
    worker_for,
)

__all__ = [
    "ensure_started",
    "has_closed",
    "has_worker",
    "leave_to_supervisor",
    "resume",
    "run_in_foreground",
    "serves",
    "started",
    "stop",
    "worker_for",
]
