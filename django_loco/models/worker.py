"""The workers that take jobs from the database queue. Only ``queues.database`` writes to this table."""

from __future__ import annotations

from django.db import models

from .job import QUEUE_FEATURES


class StoredWorker(models.Model):
    """A ``queues.workers.WorkerInfo``, which a live worker writes three times per lease.

    A worker deletes its row when it ends. If a worker died, another worker deletes its row and logs that.
    """

    id = models.TextField(primary_key=True)
    """Its ``worker_id``."""

    backend = models.TextField()
    """The alias in ``TASKS``."""

    info = models.TextField()
    """JSON text, parsed only by Python."""

    heartbeat_at = models.DateTimeField()
    """When the worker last wrote the row, by the database's clock."""

    command = models.TextField(null=True)  # noqa: DJ001 - earlier releases write rows without it
    """A ``queues.workers.Command``. The worker reads it once a second."""

    class Meta:
        """Options of the table."""

        app_label = "django_loco"
        db_table = "django_loco_worker"
        verbose_name = "worker"
        required_db_features = QUEUE_FEATURES

    def __str__(self) -> str:
        return self.id
