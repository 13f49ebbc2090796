from typing import Any

from django.db import migrations
from django.db.models import Case, F, Q, Value, When
from django.db.models.indexes import Index


class AddIndexBesideWriters(migrations.AddIndex):
    """On PostgreSQL, build the index ``CONCURRENTLY``, so that writers need not wait for it.

    The migration is then not atomic. So that it can be run again, what an interrupted run has left is dropped first.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        connection = schema_editor.connection
        if connection.vendor not in ("postgresql", "sqlite"):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(connection.alias, model):
            beside = connection.vendor == "postgresql" and not connection.in_atomic_block
            name = schema_editor.quote_name(self.index.name)
            schema_editor.execute(f"DROP INDEX {'CONCURRENTLY ' if beside else ''}IF EXISTS {name}", params=None)
            schema_editor.add_index(model, self.index, **({"concurrently": True} if beside else {}))


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
