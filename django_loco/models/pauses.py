"""Pauses of queues, tasks and tags. Only ``queues.database`` writes to these tables."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from .job import QUEUE_FEATURES


class PausedQueue(models.Model):
    """A queue that is paused. Every statement that fetches jobs reads this table, which is nearly always empty."""

    backend = models.TextField()
    """The alias in ``TASKS``."""

    queue_name = models.TextField()
    paused_at = models.DateTimeField()
    """When it was paused, by the database's clock."""

    class Meta:
        """Options of the table."""

        app_label = "django_loco"
        db_table = "django_loco_paused_queue"
        verbose_name = "paused queue"
        required_db_features = QUEUE_FEATURES
        constraints = [
            models.UniqueConstraint(fields=["backend", "queue_name"], name="django_loco_paused_once"),
        ]

    def __str__(self) -> str:
        return self.queue_name


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
