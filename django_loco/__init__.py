"""Background jobs and cron for Django, in one command with the site or on machines of their own.

The public names are in ``django_loco.tasks``, ``django_loco.scheduler`` and ``django_loco.shutdown``.
"""

__version__ = "0.1.0"
