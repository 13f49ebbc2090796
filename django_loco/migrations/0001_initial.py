from django.db import migrations, models

import django_loco.models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="StoredJob",
            fields=[
                ("id", django_loco.models.JobIdField(primary_key=True, serialize=False)),
                ("backend", models.TextField()),
                ("task_path", models.TextField()),
                ("arguments", models.TextField()),
                ("queue_name", models.TextField()),
                ("priority", models.SmallIntegerField()),
                ("is_async", models.BooleanField()),
                ("run_after", models.DateTimeField(null=True)),
                ("enqueued_at", models.DateTimeField()),
                ("tags", models.TextField()),
                ("options", models.TextField()),
                ("key", models.TextField(null=True)),
                ("status", models.TextField()),
                ("started_at", models.DateTimeField(null=True)),
                ("last_attempted_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("worker_ids", models.TextField()),
                ("errors", models.TextField()),
                ("lost", models.SmallIntegerField()),
                ("return_value", models.TextField(null=True)),
                ("token", models.TextField(null=True)),
                ("worker_id", models.TextField(null=True)),
                ("due_at", models.DateTimeField()),
                ("lease_until", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "job",
                "db_table": "django_loco_job",
                "required_db_features": ["supports_partial_indexes", "supports_expression_indexes"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "READY")),
                        fields=["backend", "is_async", "-priority", "due_at", "id", "queue_name"],
                        name="django_loco_ready",
                    ),
                    models.Index(
                        condition=models.Q(("status", "RUNNING")),
                        fields=["backend", "lease_until"],
                        name="django_loco_running",
                    ),
                    models.Index(
                        condition=models.Q(("finished_at__isnull", False)),
                        fields=["backend", "finished_at"],
                        name="django_loco_finished",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("key__isnull", False)),
                        fields=("backend", "key"),
                        name="django_loco_once_key",
                    )
                ],
            },
        ),
    ]
