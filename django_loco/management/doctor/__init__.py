"""Says what is wrong with a project and its stores, and what to do about it: ``manage.py loco_doctor``.

Each module covers one subject and registers its checks when it is imported. They are run and shown in this order.
"""

from . import schedules, servers, settings_checks, stored_jobs, stores, workers
from .options import Options
from .report import Report, examine, lines, worst
from .site import Site

__all__ = [
    "Options",
    "Report",
    "Site",
    "examine",
    "lines",
    "schedules",
    "servers",
    "settings_checks",
    "stored_jobs",
    "stores",
    "workers",
    "worst",
]
