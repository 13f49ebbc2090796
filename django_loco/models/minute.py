"""The statistics of the jobs that workers have run. Only ``queues.database`` writes to this table."""

from __future__ import annotations

from django.db import models

from .job import QUEUE_FEATURES


class StoredMinute(models.Model):
    """A ``queues.records.minutes.Minute``: the runs of a task that ended in one minute in the same way, or all.

    All processes add to the same row. A bucket counts only the runs between two bounds: see
    ``queues.records.minutes.BOUNDS``.
    """

    backend = models.TextField()
    """The alias in ``TASKS``."""

    minute = models.IntegerField()
    """The minute (counted from 1970, UTC) by the clock of the worker; 0 for the total."""

    queue_name = models.TextField()
    task_path = models.TextField()
    outcome = models.TextField()
    last_minute = models.IntegerField()
    """The minute of the last run."""

    count = models.BigIntegerField()
    duration_micros = models.BigIntegerField()
    """The total time of the runs. It is in microseconds, so that sums are exact."""

    wait_micros = models.BigIntegerField()
    """The total time from when the jobs were due until they began."""

    duration_0 = models.BigIntegerField()
    duration_1 = models.BigIntegerField()
    duration_2 = models.BigIntegerField()
    duration_3 = models.BigIntegerField()
    duration_4 = models.BigIntegerField()
    duration_5 = models.BigIntegerField()
    duration_6 = models.BigIntegerField()
    duration_7 = models.BigIntegerField()
    duration_8 = models.BigIntegerField()
    duration_9 = models.BigIntegerField()
    duration_10 = models.BigIntegerField()
    duration_11 = models.BigIntegerField()
    duration_12 = models.BigIntegerField()
    wait_0 = models.BigIntegerField()
    wait_1 = models.BigIntegerField()
    wait_2 = models.BigIntegerField()
    wait_3 = models.BigIntegerField()
    wait_4 = models.BigIntegerField()
    wait_5 = models.BigIntegerField()
    wait_6 = models.BigIntegerField()
    wait_7 = models.BigIntegerField()
    wait_8 = models.BigIntegerField()
    wait_9 = models.BigIntegerField()
    wait_10 = models.BigIntegerField()
    wait_11 = models.BigIntegerField()
    wait_12 = models.BigIntegerField()

    class Meta:
        """Options of the table."""

        app_label = "django_loco"
        db_table = "django_loco_minute"
        verbose_name = "minute"
        required_db_features = QUEUE_FEATURES
        constraints = [
            models.UniqueConstraint(
                fields=["backend", "minute", "queue_name", "task_path", "outcome"], name="django_loco_minute_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task_path} {self.outcome}"
