"""The admin pages of schedules. Schedules of the database can be edited; all schedules can be paused and run."""

from .schedule_admin import ScheduleAdmin

__all__ = ["ScheduleAdmin"]
