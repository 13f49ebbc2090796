"""The Django app: registers checks and connects signals. It starts no thread.

Every process of a project imports this module, even one that only migrates. Most of them do not need the worker, the
scheduler and the checks, so these are imported when they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.checks import Tags
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy

from .assembly import plain_server
from .core import running_tests
from .process.embedded import set_runtime_factory
from .queues.database.sqlite.connections import tune
from .tasks.decorator import accept_task_options
from .tasks.loading import remember_loaded_packages
from .tasks.tasks_setting import require_backends

#: The system checks by their tags.
CHECKS = {
    ("loco",): (
        "django_loco.checks.settings.check_settings",
        "django_loco.checks.queues.check_queues",
        "django_loco.tasks.aliases.check_aliases",
        "django_loco.checks.settings.check_settings_beside_loco",
        "django_loco.checks.settings.check_threads",
        "django_loco.checks.settings.check_task_options",
        "django_loco.checks.settings.check_schedules",
        "django_loco.checks.settings.check_components",
        "django_loco.checks.settings.check_commands",
        "django_loco.checks.settings.check_carriers",
        "django_loco.checks.settings.check_dashboard",
    ),
    ("loco", Tags.database): (
        "django_loco.checks.stored_jobs.check_migrations",
        "django_loco.checks.settings.check_stored_schedules",
        "django_loco.checks.stored_jobs.check_waiting_jobs",
    ),
}
#: The system checks of ``check --deploy``.
DEPLOYMENT_CHECKS = (
    "django_loco.checks.stored_jobs.check_deployment",
    "django_loco.checks.stored_jobs.check_locks",
)


@cache  # a test that changes INSTALLED_APPS calls ready() again, and Django must see the same functions as before
def deferred(path: str) -> Callable[..., Any]:
    """Return a function that imports the one at ``path`` when it is called, and calls it."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return import_string(path)(*args, **kwargs)

    return call


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
        set_runtime_factory(deferred("django_loco.assembly.build_embedded.build_runtime"))
        schedule: Any = self.get_model("Schedule")
        schedule.rules = [deferred("django_loco.scheduler.api.row_validation.validate_row")]
        schedule.is_name_of_code = staticmethod(deferred("django_loco.scheduler.registry.is_name_of_code"))
        connection_created.connect(tune, dispatch_uid="django_loco.sqlite.tune")
        plain_server.resume_when_serving()
        # A test connects before it opens a transaction.
        connection_created.connect(running_tests.refresh, dispatch_uid="django_loco.environment")
        for tags, paths in CHECKS.items():
            for path in paths:
                checks.register(deferred(path), *tags)
        for path in DEPLOYMENT_CHECKS:
            checks.register(deferred(path), "loco", deploy=True)
