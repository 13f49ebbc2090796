from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0010_metadata")]

    operations = [
        migrations.CreateModel(
            name="PausedQueue",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("backend", models.TextField()),
                ("queue_name", models.TextField()),
                ("paused_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "paused queue",
                "db_table": "django_loco_paused_queue",
                "required_db_features": ["supports_partial_indexes", "supports_expression_indexes"],
                "constraints": [
                    models.UniqueConstraint(fields=("backend", "queue_name"), name="django_loco_paused_once")
                ],
            },
        ),
    ]
