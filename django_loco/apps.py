"""The Django app: registers checks and connects signals. It starts no thread."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy

from .assembly import plain_server
from .assembly.build_embedded import build_runtime
from .checks import (
    check_carriers,
    check_commands,
    check_components,
    check_dashboard,
    check_deployment,
    check_locks,
    check_migrations,
    check_queues,
    check_schedules,
    check_settings,
    check_settings_beside_loco,
    check_stored_schedules,
    check_task_options,
    check_threads,
    check_waiting_jobs,
    if_settings_are_valid,
)
from .core import test_environment
from .process.embedded import set_runtime_factory
from .queues.database.sqlite.connections import tune
from .scheduler.api import row_validation
from .tasks.aliases import check_aliases
from .tasks.decorator import accept_task_options
from .tasks.loading import remember_loaded_packages
from .tasks.setting import require_backends


class LocoConfig(AppConfig):
    """``INSTALLED_APPS = [..., "django_loco"]``."""

    name = "django_loco"
    verbose_name = gettext_lazy("Background jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def __init__(self, app_name: str, app_module: Any) -> None:
        """Prepare Django's backends for tests before Django imports the models and tasks of apps."""
        super().__init__(app_name, app_module)
        accept_task_options()

    def ready(self) -> None:
        """Register checks, and connect signals, the rules of schedules and the embedded runtime.

        Raises ``LocoConfigurationError`` for an alias in ``TASKS`` that has no backend.
        """
        require_backends()
        remember_loaded_packages()
        models: Any = self.models_module
        post_migrate.connect(models.keep_triggers, sender=self, dispatch_uid="django_loco.models.keep_triggers")
        set_runtime_factory(build_runtime)
        schedule: Any = self.get_model("Schedule")
        schedule.rules = [row_validation.validate_row]
        connection_created.connect(tune, dispatch_uid="django_loco.sqlite.tune")
        plain_server.resume_when_serving()
        # A test connects before it opens a transaction.
        connection_created.connect(test_environment.refresh, dispatch_uid="django_loco.environment")
        for check in (check_settings, check_queues, check_aliases):
            checks.register(check, "loco")
        for check in (
            check_settings_beside_loco,
            check_threads,
            check_task_options,
            check_schedules,
            check_components,
            check_commands,
            check_carriers,
            check_dashboard,
        ):
            checks.register(if_settings_are_valid(check), "loco")
        for check in (check_migrations, check_stored_schedules, check_waiting_jobs):
            checks.register(if_settings_are_valid(check), "loco", checks.Tags.database)
        checks.register(if_settings_are_valid(check_deployment), "loco", deploy=True)
        checks.register(if_settings_are_valid(check_locks), "loco", deploy=True)
