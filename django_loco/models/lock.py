"""The locks of a database. Only ``locks.stores.database`` writes to this table."""

from __future__ import annotations

from django.db import models

from .job import QUEUE_FEATURES


class StoredLock(models.Model):
    """A lock that is held, or was used within a day.

    Only PostgreSQL has rows here. The locks of an SQLite database are in a separate file.
    """

    backend = models.TextField()
    """The alias in ``TASKS``."""

    name = models.TextField()
    state = models.TextField()
    """The text of a ``locks.state.LockState``: the holder, those who wait, and the last token."""

    held_until = models.BigIntegerField(null=True)
    """The end of the holder's lease, in microseconds since 1970 by the database's clock."""

    memory_until = models.BigIntegerField()
    """When the row may be deleted, by the same clock and in the same unit."""

    class Meta:
        """Options of the table."""

        app_label = "django_loco"
        db_table = "django_loco_lock"
        verbose_name = "lock"
        required_db_features = QUEUE_FEATURES
        constraints = [models.UniqueConstraint(fields=["backend", "name"], name="django_loco_lock_once")]
        indexes = [models.Index(fields=["memory_until"], name="django_loco_lock_old")]

    def __str__(self) -> str:
        return self.name
