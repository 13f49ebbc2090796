"""The table in which workers with ``--tags`` find their jobs."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from .job import QUEUE_FEATURES, JobIdField


class NotDumped(models.Manager["WaitingTag"]):
    """The manager that ``dumpdata`` uses.

    It has no rows, because triggers write them again when the jobs are loaded.
    """

    def get_queryset(self) -> models.QuerySet[WaitingTag]:
        """Return no rows."""
        return super().get_queryset().none()


class WaitingTag(models.Model):
    """One tag of a job that is ``READY``, with the columns that decide when the job runs.

    An index has one entry for each row of its table, but a job has any number of tags. So this table has a row for each
    tag. With it, a worker with ``--tags`` finds its first jobs without reading other jobs. Triggers on the table of
    jobs write these rows (``tag_triggers``), so any program may change a job: a worker, the admin, an older version of
    this package. Jobs without tags have no rows.
    """

    backend = models.TextField()
    is_async = models.BooleanField()
    tag = models.TextField()
    queue_name = models.TextField()
    priority = models.SmallIntegerField()
    due_at = models.DateTimeField()
    job_id = JobIdField()

    dumped: ClassVar[NotDumped] = NotDumped()  # the first manager is the default, which dumpdata uses
    objects: ClassVar[models.Manager[WaitingTag]] = models.Manager()

    class Meta:
        """Options of the table."""

        app_label = "django_loco"
        db_table = "django_loco_waiting_tag"
        verbose_name = "tag of a waiting job"
        required_db_features = QUEUE_FEATURES
        indexes = [
            # The first index is for workers of all queues, the second for workers of some queues.
            models.Index(
                fields=["backend", "is_async", "tag", "-priority", "due_at", "job_id"],
                name="django_loco_tag",
            ),
            models.Index(
                fields=["backend", "is_async", "tag", "queue_name", "-priority", "due_at", "job_id"],
                name="django_loco_tag_by_queue",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tag} {self.job_id}"
