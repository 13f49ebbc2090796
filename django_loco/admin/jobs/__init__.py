"""The admin pages of jobs, workers and queues.

They work with every store, because they use ``django_loco.jobs`` only.
"""

from .job_admin import JobAdmin
from .worker_admin import WorkerAdmin

__all__ = ["JobAdmin", "WorkerAdmin"]
