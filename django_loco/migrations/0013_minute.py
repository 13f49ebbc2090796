from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_loco", "0012_pages"),
    ]

    operations = [
        migrations.CreateModel(
            name="StoredMinute",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("backend", models.TextField()),
                ("minute", models.IntegerField()),
                ("queue_name", models.TextField()),
                ("task_path", models.TextField()),
                ("outcome", models.TextField()),
                ("last_minute", models.IntegerField()),
                ("count", models.BigIntegerField()),
                ("duration_micros", models.BigIntegerField()),
                ("wait_micros", models.BigIntegerField()),
                ("duration_0", models.BigIntegerField()),
                ("duration_1", models.BigIntegerField()),
                ("duration_2", models.BigIntegerField()),
                ("duration_3", models.BigIntegerField()),
                ("duration_4", models.BigIntegerField()),
                ("duration_5", models.BigIntegerField()),
                ("duration_6", models.BigIntegerField()),
                ("duration_7", models.BigIntegerField()),
                ("duration_8", models.BigIntegerField()),
                ("duration_9", models.BigIntegerField()),
                ("duration_10", models.BigIntegerField()),
                ("duration_11", models.BigIntegerField()),
                ("duration_12", models.BigIntegerField()),
                ("wait_0", models.BigIntegerField()),
                ("wait_1", models.BigIntegerField()),
                ("wait_2", models.BigIntegerField()),
                ("wait_3", models.BigIntegerField()),
                ("wait_4", models.BigIntegerField()),
                ("wait_5", models.BigIntegerField()),
                ("wait_6", models.BigIntegerField()),
                ("wait_7", models.BigIntegerField()),
                ("wait_8", models.BigIntegerField()),
                ("wait_9", models.BigIntegerField()),
                ("wait_10", models.BigIntegerField()),
                ("wait_11", models.BigIntegerField()),
                ("wait_12", models.BigIntegerField()),
            ],
            options={
                "verbose_name": "minute",
                "db_table": "django_loco_minute",
                "required_db_features": ["supports_partial_indexes", "supports_expression_indexes"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("backend", "minute", "queue_name", "task_path", "outcome"),
                        name="django_loco_minute_once",
                    )
                ],
            },
        ),
    ]
