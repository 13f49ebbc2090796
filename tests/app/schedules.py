"""Schedules of the test site; a process that wants the fast one asks for it."""

import os

from django_loco import scheduler

from .tasks import tick

if os.environ.get("LOCO_TEST_TICKS"):
    scheduler.every(tick, seconds=1, name="tick")
