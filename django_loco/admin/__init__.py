"""The pages of django-loco in Django's admin."""

from .schedules import ScheduleAdmin

__all__ = ["ScheduleAdmin"]
