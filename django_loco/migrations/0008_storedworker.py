from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0007_waiting_tag")]

    operations = [
        migrations.CreateModel(
            name="StoredWorker",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("backend", models.TextField()),
                ("info", models.TextField()),
                ("heartbeat_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "worker",
                "db_table": "django_loco_worker",
                "required_db_features": ["supports_partial_indexes", "supports_expression_indexes"],
            },
        ),
    ]
