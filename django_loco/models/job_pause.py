"""The tasks and tags whose jobs no worker may fetch. Only ``queues.database`` writes to this table."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class StoredJobPause(models.Model):
    """A pause of a task or a tag, now or a minute ago. The table is nearly always empty."""

    backend = models.TextField()
    """The alias in ``TASKS``."""

    kind = models.TextField()
    """``task`` or ``tag``."""

    name = models.TextField()
    needle = models.TextField()
    """The text by which a tag is found among those of a job (``rows.needle_of_tag``); empty for a task."""

    blocked_until = models.DateTimeField()
    """The ``due_at`` of the jobs that it holds back, far in the future."""

    paused_at = models.DateTimeField()
    """By the database's clock, as ``ended_at``."""

    ended_at = models.DateTimeField(null=True)

    class Meta:
        """Names that do not follow from the class's."""

        app_label = "django_loco"
        db_table = "django_loco_job_pause"
        verbose_name = "pause of a task or tag"
        # As the table of jobs, without which it has no use.
        required_db_features = ["supports_partial_indexes"]
        # For the look of each worker every second.
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
