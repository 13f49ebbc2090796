"""The limits of jobs. Only ``queues.database`` writes to this table."""

from __future__ import annotations

from django.db import models

from .job import QUEUE_FEATURES


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
