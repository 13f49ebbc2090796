"""The queues whose jobs no worker may fetch. Only ``queues.database`` writes to this table."""

from __future__ import annotations

from django.db import models

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
