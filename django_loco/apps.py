"""The app: connects what has to be connected. It starts no thread; see ``runtime`` for what does, and when."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.db.backends.signals import connection_created

from . import environment, serving
from .checks import (
    check_components,
    check_deployment,
    check_queues,
    check_schedules,
    check_settings,
    check_stored_schedules,
    check_task_options,
    check_waiting_jobs,
)
from .queues import sqlite
from .scheduler import rules


class LocoConfig(AppConfig):
    """``INSTALLED_APPS = [..., "django_loco"]``."""

    name = "django_loco"
    verbose_name = "Background jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the checks, the rules for schedules, and the tuning of SQLite connections that a queue uses."""
        schedule: Any = self.get_model("Schedule")
        schedule.rules = [rules.keep]
        connection_created.connect(sqlite.tune, dispatch_uid="django_loco.sqlite.tune")
        serving.watch()
        # A test connects before it opens a transaction.
        connection_created.connect(environment.look, dispatch_uid="django_loco.environment")
        for check in (check_settings, check_queues, check_task_options, check_schedules, check_components):
            checks.register(check, "loco")
        for check in (check_stored_schedules, check_waiting_jobs):
            checks.register(check, "loco", checks.Tags.database)
        checks.register(check_deployment, "loco", deploy=True)
