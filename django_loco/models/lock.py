"""The locks of a database. Only ``locks.stores.database`` writes to this table."""

from __future__ import annotations

from django.db import models

from .job import QUEUE_FEATURES


class StoredLock(models.Model):
    """A lock that somebody has, or has used within a day.

    PostgreSQL alone has rows here: the locks of a SQLite database are in a file of their own.
    """

    backend = models.TextField()
    """The alias in ``TASKS``."""

    name = models.TextField()
    state = models.TextField()
    """The text of a ``locks.state.LockState``: the holder, who waits, and the last token."""

    held_until = models.BigIntegerField(null=True)
    """The end of the holder's lease, in microseconds since 1970 by the database's clock."""

    memory_until = models.BigIntegerField()
    """When the row may be deleted, by the same clock."""

    class Meta:
        """Names that do not follow from the class's."""

        app_label = "django_loco"
        db_table = "django_loco_lock"
        verbose_name = "lock"
        required_db_features = QUEUE_FEATURES
        constraints = [models.UniqueConstraint(fields=["backend", "name"], name="django_loco_lock_once")]
        indexes = [models.Index(fields=["memory_until"], name="django_loco_lock_old")]

    def __str__(self) -> str:
        return self.name
