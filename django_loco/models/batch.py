"""The table of batches. Only ``queues.database`` writes to it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from .job import QUEUE_FEATURES


class StoredBatch(models.Model):
    """A ``queues.records.batches.BatchRecord``. Its members are the jobs with its id as their ``batch``."""

    id = models.TextField(primary_key=True)
    backend = models.TextField()
    name = models.TextField()
    callbacks = models.TextField()
    metadata = models.TextField()
    kind = models.TextField(null=True)  # noqa: DJ001 - older releases write no kind
    created_at = models.DateTimeField()
    sealed_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    called_at = models.DateTimeField(null=True)
    round = models.IntegerField()
    total = models.BigIntegerField()
    succeeded = models.BigIntegerField()
    failed = models.BigIntegerField()
    cancelled = models.BigIntegerField()

    class Meta:
        """Options of the table."""

        app_label = "django_loco"
        db_table = "django_loco_batch"
        verbose_name = "batch"
        verbose_name_plural = "batches"
        required_db_features = QUEUE_FEATURES
        indexes = [
            # For the batches that a sweep reads.
            models.Index(fields=["backend", "id"], condition=Q(called_at__isnull=True), name="django_loco_batch_open"),
            models.Index(fields=["backend", "called_at"], name="django_loco_batch_called"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.id}"
