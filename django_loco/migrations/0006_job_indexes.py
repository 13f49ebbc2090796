from django.db import migrations
from django.db.models import Case, F, Q, Value, When
from django.db.models.indexes import Index

from ._beside_writers import AddIndexBesideWriters


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0005_schedulelead")]
    #: PostgreSQL cannot build an index concurrently in a transaction.
    atomic = False

    operations = [
        AddIndexBesideWriters(
            model_name="storedjob",
            index=Index(
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
        ),
        AddIndexBesideWriters(
            model_name="storedjob",
            index=Index(
                fields=["backend", "status", "queue_name", "-id"],
                condition=Q(finished_at__isnull=False),
                name="django_loco_finished_by_queue",
            ),
        ),
        AddIndexBesideWriters(
            model_name="storedjob",
            index=Index(
                fields=["backend", "-priority", "due_at", "id"],
                condition=Q(("lost__gte", 2), ("status", "READY")),
                name="django_loco_suspects",
            ),
        ),
    ]
