"""The tables of django-loco."""

from .job import JobIdField, StoredJob
from .schedule import Schedule, ScheduleState

__all__ = ["JobIdField", "Schedule", "ScheduleState", "StoredJob"]
