from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0021_steps")]

    operations = [
        migrations.CreateModel(
            name="StoredJobPause",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("backend", models.TextField()),
                ("kind", models.TextField()),
                ("name", models.TextField()),
                ("needle", models.TextField()),
                ("blocked_until", models.DateTimeField()),
                ("paused_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "pause of a task or tag",
                "db_table": "django_loco_job_pause",
                "required_db_features": ["supports_partial_indexes", "supports_expression_indexes"],
                "indexes": [models.Index(fields=["backend"], name="django_loco_job_pauses")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=("backend", "kind", "name"),
                        name="django_loco_job_paused_once",
                    )
                ],
            },
        ),
    ]
