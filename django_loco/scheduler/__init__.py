"""Runs jobs on a schedule: ``from django_loco import scheduler`` in any app's ``schedules.py``.

    scheduler.every(poll, seconds=15)
    scheduler.every_minute(cleanup)
    scheduler.hourly(digest, at=15)
    scheduler.daily(report, at="04:00", timezone="Europe/Berlin")
    scheduler.weekly(newsletter, on="monday", at="09:30")
    scheduler.monthly(invoices, day=1, at="06:00")
    scheduler.cron("*/5 9-17 * * mon-fri", sync, args=["eu"], name="sync-eu")
    scheduler.when("7pm every Thursday", newsletter)
    scheduler.once(launch, at="2026-12-24 18:00")
    scheduler.after("report", mail_report)

or above a task, in ``tasks.py``::

    @scheduler.cron("0 3 * * *")
    @task
    def cleanup(): ...

Schedules can also be made in the admin. They are kept in the database, and run only tasks and commands that ``expose``
allows.

Each tick enqueues a job with the key (schedule, tick), which the queue accepts only once. So any number of schedulers
may run, on any number of machines, and each tick is one job.
"""

from .api.control import pause, problems, resume, run, upcoming
from .api.history import Tick, history
from .api.upcoming import Upcoming
from .entry import Problem, ScheduleEntry
from .registry import Registry, default
from .scheduler import Scheduler
from .triggers.cron import Cron
from .triggers.trigger import Interval, Trigger

every = default.every
every_minute = default.every_minute
hourly = default.hourly
daily = default.daily
weekly = default.weekly
monthly = default.monthly
cron = default.cron
when = default.when
once = default.once
after = default.after
expose = default.expose

__all__ = [
    "Cron",
    "Interval",
    "Problem",
    "Registry",
    "ScheduleEntry",
    "Scheduler",
    "Tick",
    "Trigger",
    "Upcoming",
    "after",
    "cron",
    "daily",
    "every",
    "every_minute",
    "expose",
    "history",
    "hourly",
    "monthly",
    "once",
    "pause",
    "problems",
    "resume",
    "run",
    "upcoming",
    "weekly",
    "when",
]
