"""What Django's admin shows of django-loco."""

from .schedules import ScheduleAdmin

__all__ = ["ScheduleAdmin"]
