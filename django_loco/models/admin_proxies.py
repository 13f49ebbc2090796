"""The models of the admin's pages of jobs and workers. The pages show the queues of any store.

The models are proxies without tables, and nothing reads a table through them. They exist because Django's admin takes
the addresses and permissions of a page from its model.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from .job import StoredJob
from .worker import StoredWorker


class LocoJob(StoredJob):
    """A job in any queue."""

    class Meta:
        """Its names and permissions."""

        proxy = True
        app_label = "django_loco"
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        default_permissions = ()
        permissions = [
            ("view_job", "Can view jobs in any queue"),
            ("retry_job", "Can retry jobs"),
            ("cancel_job", "Can cancel jobs"),
            ("discard_job", "Can discard jobs"),
            ("delete_job", "Can delete jobs"),
            ("move_job", "Can move jobs to another queue"),
            ("run_again_job", "Can run jobs again with other arguments"),
        ]

    def __str__(self) -> str:
        return f"{self.task_path} {self.id or ''}".strip()


class LocoWorker(StoredWorker):
    """A worker of any queue."""

    class Meta:
        """Its names and permissions."""

        proxy = True
        app_label = "django_loco"
        verbose_name = _("worker")
        verbose_name_plural = _("workers and queues")
        default_permissions = ()
        permissions = [
            ("view_worker", "Can view workers and queues"),
            ("pause_queue", "Can pause and resume queues"),
            ("control_worker", "Can quiet and stop workers"),
            ("change_limit", "Can change limits"),
        ]
