"""The table of the edges of workflows. Only ``queues.database`` writes to it."""

from __future__ import annotations

from django.db import models

from .job import QUEUE_FEATURES, JobIdField


class StoredWorkflowEdge(models.Model):
    """A ``queues.records.workflows.Edge`` to a node that is not decided yet."""

    id = models.BigAutoField(primary_key=True)
    backend = models.TextField()
    batch = models.TextField()
    upstream = JobIdField()
    downstream = JobIdField()
    on_failed = models.TextField()
    ended = models.TextField()
    """Empty while the upstream node waits or runs; ``S`` if it has succeeded; otherwise ``F``."""

    class Meta:
        """Options of the table."""

        app_label = "django_loco"
        db_table = "django_loco_workflow_edge"
        verbose_name = "edge of a workflow"
        verbose_name_plural = "edges of workflows"
        required_db_features = QUEUE_FEATURES
        constraints = [
            models.UniqueConstraint(fields=["batch", "upstream", "downstream"], name="django_loco_edge_upstream"),
        ]
        indexes = [models.Index(fields=["batch", "downstream", "ended"], name="django_loco_edge_downstream")]

    def __str__(self) -> str:
        return f"{self.upstream} {self.downstream}"
