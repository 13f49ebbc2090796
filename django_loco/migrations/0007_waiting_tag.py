from typing import Any

from django.db import migrations, models

from ..models.job import JobIdField
from ..models.tag_triggers import CREATE, DROP, making


class KeepWaitingTags(migrations.operations.base.Operation):
    """Make the triggers that keep the table of ``WaitingTag``, and fill it."""

    reduces_to_sql = True
    reversible = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._execute(app_label, schema_editor, to_state, making)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._execute(app_label, schema_editor, from_state, DROP.get)

    def describe(self) -> str:
        return "Keep the tags of waiting jobs by triggers"

    def _execute(self, app_label: str, schema_editor: Any, state: Any, statements: Any) -> None:
        connection = schema_editor.connection
        model = state.apps.get_model(app_label, "WaitingTag")
        if connection.vendor in CREATE and self.allow_migrate_model(connection.alias, model):
            for statement in statements(connection.vendor):
                schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0006_job_indexes")]

    operations = [
        migrations.CreateModel(
            name="WaitingTag",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("backend", models.TextField()),
                ("is_async", models.BooleanField()),
                ("tag", models.TextField()),
                ("queue_name", models.TextField()),
                ("priority", models.SmallIntegerField()),
                ("due_at", models.DateTimeField()),
                ("job_id", JobIdField()),
            ],
            options={
                "verbose_name": "tag of a waiting job",
                "db_table": "django_loco_waiting_tag",
                "required_db_features": ["supports_partial_indexes", "supports_expression_indexes"],
            },
        ),
        migrations.AddIndex(
            model_name="waitingtag",
            index=models.Index(
                fields=["backend", "is_async", "tag", "-priority", "due_at", "job_id"], name="django_loco_tag"
            ),
        ),
        migrations.AddIndex(
            model_name="waitingtag",
            index=models.Index(
                fields=["backend", "is_async", "tag", "queue_name", "-priority", "due_at", "job_id"],
                name="django_loco_tag_by_queue",
            ),
        ),
        KeepWaitingTags(),
    ]
