"""The admin pages of schedules: those of the database can be edited, all can be paused and run."""

from .schedule_admin import ScheduleAdmin

__all__ = ["ScheduleAdmin"]
