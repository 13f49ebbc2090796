"""Turns the schedules of other systems into rows of django-loco: ``manage.py loco_import``.

Each system has a module that reads its schedules as ``ForeignSchedule``. ``rows`` stores them. Nothing is changed in
the other system, and its package need not be installed.
"""

from .celery_beat import read_celery_beat
from .crontab import read_crontab
from .django_q2 import read_django_q2
from .foreign_schedules import ForeignSchedule
from .rows import PAUSED_BY, Imported, import_schedules
from .rq_scheduler import read_rq_scheduler

__all__ = [
    "PAUSED_BY",
    "ForeignSchedule",
    "Imported",
    "import_schedules",
    "read_celery_beat",
    "read_crontab",
    "read_django_q2",
    "read_rq_scheduler",
]
