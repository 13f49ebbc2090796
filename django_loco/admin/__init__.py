"""The pages of django-loco in Django's admin.

Django's ``autodiscover`` imports this package in every process of a project with the admin, also in one that only
migrates. So the classes that are registered say what the admin has to know of them when it starts: permissions,
addresses, columns and actions. What a page needs, the scheduler, the filters, the forms, is in modules of their own,
and the method that answers for the page imports them when it is called.
"""

from .jobs import JobAdmin, WorkerAdmin
from .schedules import ScheduleAdmin

__all__ = ["JobAdmin", "ScheduleAdmin", "WorkerAdmin"]
