"""The pages of django-loco in Django's admin.

Django's ``autodiscover`` imports this package in every process of a project with the admin, even in a process that only
migrates. So the registered classes contain only what the admin needs at its start: permissions, URLs, columns and
actions. The scheduler, the filters and the forms are needed only by pages. They are in other modules, which the methods
for the pages import when they are called.
"""

from .jobs import JobAdmin, WorkerAdmin
from .schedules import ScheduleAdmin

__all__ = ["JobAdmin", "ScheduleAdmin", "WorkerAdmin"]
