"""The table of the database queue. Only ``queues.database`` writes to it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import Case, F, Func, Q, Value, When
from django.db.models.functions import Coalesce, Replace

from ..core.job import SUSPECT

#: The features that a database needs to be a queue. Without them it cannot keep keys unique, so it gets no table of
#: jobs.
QUEUE_FEATURES = ["supports_partial_indexes", "supports_expression_indexes"]


class JobIdField(models.UUIDField):  # type: ignore[type-arg]
    """A job's id: 32 hexadecimal digits in Python, and their 16 bytes in PostgreSQL."""

    def from_db_value(self, value: UUID | None, *_: Any) -> str | None:
        """Return the digits of a stored id, which the engine returns as a UUID."""
        return None if value is None else value.hex


class StoredJob(models.Model):
    """A ``job.Job`` as a row with a column per field. Tuples and mappings are JSON text.

    JSON is stored as text so that it does not change: PostgreSQL's ``jsonb`` refuses the character NUL and sorts keys.
    Times are in UTC regardless of ``USE_TZ``.

    Every index makes writes slower. So only frequent queries have an index, which contains only the rows that the query
    can return: ready jobs, expired leases, old results.
    """

    id = JobIdField(primary_key=True)
    backend = models.TextField()
    task_path = models.TextField()
    arguments = models.TextField()
    queue_name = models.TextField()
    priority = models.SmallIntegerField()
    is_async = models.BooleanField()
    run_after = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    enqueued_at = models.DateTimeField()
    tags = models.TextField()
    options = models.TextField()
    key = models.TextField(null=True)  # noqa: DJ001 - most jobs have none, and only real keys must be unique
    limit_key = models.TextField(null=True)  # noqa: DJ001 - most jobs obey no limits
    batch = models.TextField(null=True)  # noqa: DJ001 - most jobs are in none
    status = models.TextField()
    started_at = models.DateTimeField(null=True)
    last_attempted_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    worker_ids = models.TextField()
    errors = models.TextField()
    lost = models.SmallIntegerField()
    return_value = models.TextField(null=True)  # noqa: DJ001 - no value is not the same as an empty one
    checkpoint = models.TextField(null=True)  # noqa: DJ001 - most jobs have none
    metadata = models.TextField(null=True)  # noqa: DJ001 - most jobs have none
    steps = models.TextField(null=True)  # noqa: DJ001 - most jobs have none
    waits = models.TextField(null=True)  # noqa: DJ001 - most jobs have none
    signals = models.TextField(null=True)  # noqa: DJ001 - most jobs have none
    progress = models.TextField(null=True)  # noqa: DJ001 - most jobs have none
    token = models.TextField(null=True)  # noqa: DJ001 - not held
    worker_id = models.TextField(null=True)  # noqa: DJ001 - not held
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    #: Until when a finished job with a retention is kept, see ``core.job.retention``. Most jobs have no such time.
    kept_until = models.DateTimeField(null=True)
    unique_key = models.TextField(null=True)  # noqa: DJ001 - most jobs have none
    unique_until = models.TextField(null=True)  # noqa: DJ001 - most jobs have none
    #: The logs of the job's runs, see ``Queue.logs``. They may be large, so statements about many jobs leave the column
    #: out.
    log = models.TextField(null=True)  # noqa: DJ001 - most jobs have none

    class Meta:
        """Options of the table."""

        app_label = "django_loco"
        db_table = "django_loco_job"
        verbose_name = "job"
        required_db_features = QUEUE_FEATURES
        constraints = [
            models.UniqueConstraint(
                fields=["backend", "key"], condition=Q(key__isnull=False), name="django_loco_once_key"
            ),
            # Only jobs that hold a unique key are in it, see ``core.uniqueness``. Most jobs have none.
            models.UniqueConstraint(
                fields=["backend", "unique_key"],
                condition=Q(unique_key__isnull=False)
                & (
                    Q(finished_at__isnull=True, unique_until="finished")
                    | Q(started_at__isnull=True, status="READY", unique_until="started")
                    | Q(unique_until__gt="0", unique_until__lt="9")
                ),
                name="django_loco_unique_key",
            ),
        ]
        indexes = [
            # The queue comes last, so that the order of the index is kept. A worker of some queues skips the jobs of
            # other queues without reading their rows.
            models.Index(
                fields=["backend", "is_async", "-priority", "due_at", "id", "queue_name"],
                condition=Q(status="READY"),
                name="django_loco_ready",
            ),
            # Only jobs with which two workers have died are in it, so it is nearly always empty.
            models.Index(
                fields=["backend", "-priority", "due_at", "id"],
                condition=Q(status="READY", lost__gte=SUSPECT),
                name="django_loco_suspects",
            ),
            # The same by queue, for workers of some queues or of jobs without tags. Workers of certain tags find their
            # jobs through ``WaitingTag``.
            models.Index(
                F("backend"),
                F("is_async"),
                Case(When(tags="[]", then=Value(0)), default=Value(1)),
                F("queue_name"),
                F("priority").desc(),
                F("due_at"),
                F("id"),
                condition=Q(status="READY"),
                name="django_loco_ready_by_queue",
            ),
            models.Index(
                fields=["backend", "lease_until"],
                condition=Q(status="RUNNING"),
                name="django_loco_running",
            ),
            models.Index(
                fields=["backend", "finished_at"],
                condition=Q(finished_at__isnull=False, kept_until__isnull=True),
                name="django_loco_finished",
            ),
            models.Index(
                fields=["backend", "kept_until"],
                condition=Q(kept_until__isnull=False),
                name="django_loco_kept",
            ),
            # For pages and commands that list or count finished jobs.
            models.Index(
                fields=["backend", "status", "queue_name", "-id"],
                condition=Q(finished_at__isnull=False),
                name="django_loco_finished_by_queue",
            ),
            # The part of the key "series@member" up to the last "@".
            models.Index(
                F("backend"),
                Func(F("key"), Replace("key", Value("@")), function="RTRIM", output_field=models.TextField()),
                F("id").desc(),
                condition=Q(key__isnull=False),
                name="django_loco_series",
            ),
            # Limited jobs: waiting ones by their keys, and running ones. In the other indexes they may be far down.
            models.Index(
                F("backend"),
                F("is_async"),
                F("limit_key"),
                F("priority").desc(),
                Coalesce("run_after", "enqueued_at"),
                F("id"),
                F("queue_name"),
                condition=Q(status="READY", limit_key__isnull=False),
                name="django_loco_limited",
            ),
            models.Index(
                fields=["backend", "limit_key"],
                condition=Q(status="RUNNING", limit_key__isnull=False),
                name="django_loco_limited_running",
            ),
            # For the members of batches: which of them have not ended, and how many have ended in each way.
            models.Index(
                fields=["batch", "status", "id"], condition=Q(batch__isnull=False), name="django_loco_batch_members"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task_path} {self.id}"
