"""Pauses of tasks and tags, and limits, which hold jobs back. Only ``queues.database`` writes to these tables."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from .job import QUEUE_FEATURES


class StoredJobPause(models.Model):
    """A pause of a task or a tag that exists now or did a minute ago. The table is nearly always empty."""

    backend = models.TextField()
    """The alias in ``TASKS``."""

    kind = models.TextField()
    """``task`` or ``tag``."""

    name = models.TextField()
    needle = models.TextField()
    """The text by which a tag is found in the tags of a job (``rows.forms.needle_of_tag``); empty for a task."""

    blocked_until = models.DateTimeField()
    """The ``due_at`` of the jobs that the pause holds back, far in the future."""

    paused_at = models.DateTimeField()
    """When it began. This and ``ended_at`` are by the database's clock."""

    ended_at = models.DateTimeField(null=True)

    class Meta:
        """Options of the table."""

        app_label = "django_loco"
        db_table = "django_loco_job_pause"
        verbose_name = "pause of a task or tag"
        required_db_features = QUEUE_FEATURES
        # Each worker reads the table every second.
        indexes = [models.Index(fields=["backend"], name="django_loco_job_pauses")]
        constraints = [
            models.UniqueConstraint(
                fields=["backend", "kind", "name"],
                condition=Q(ended_at__isnull=True),
                name="django_loco_job_paused_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class StoredLimit(models.Model):
    """The times of a key of a limit. Keys that are idle have no row."""

    backend = models.TextField()
    """The alias in ``TASKS``."""

    kind = models.TextField()
    """The kind of the row.

    * ``key``: a key of a limit.
    * ``limit``: a limit that people have changed.
    * ``turn``: the row that is locked while limits are decided.
    * ``opened``: people have opened the keys of a limit at the time in ``tat``.
    """

    name = models.TextField()
    tat = models.BigIntegerField()
    """For this and ``closed_until`` see ``core.job.limits.KeyTimes``."""

    closed_until = models.BigIntegerField()
    closed_at = models.BigIntegerField(null=True)
    changed = models.TextField(null=True)  # noqa: DJ001 - keys have none
    """JSON text of a limit that people have changed from its declaration in the settings."""

    class Meta:
        """Options of the table."""

        app_label = "django_loco"
        db_table = "django_loco_limit"
        verbose_name = "limit"
        required_db_features = QUEUE_FEATURES
        constraints = [models.UniqueConstraint(fields=["backend", "kind", "name"], name="django_loco_limit_key")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
