"""The admin pages of jobs, workers and queues, on every store, which go through ``django_loco.jobs`` for all."""

from .job_admin import JobAdmin
from .worker_admin import WorkerAdmin

__all__ = ["JobAdmin", "WorkerAdmin"]
