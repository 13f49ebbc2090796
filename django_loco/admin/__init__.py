"""The pages of django-loco in Django's admin."""

from .jobs import JobAdmin, WorkerAdmin
from .schedules import ScheduleAdmin

__all__ = ["JobAdmin", "ScheduleAdmin", "WorkerAdmin"]
