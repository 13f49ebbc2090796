from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0016_expires_at")]

    operations = [
        migrations.CreateModel(
            name="StoredLock",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("backend", models.TextField()),
                ("name", models.TextField()),
                ("state", models.TextField()),
                ("held_until", models.BigIntegerField(null=True)),
                ("memory_until", models.BigIntegerField()),
            ],
            options={
                "verbose_name": "lock",
                "db_table": "django_loco_lock",
                "required_db_features": ["supports_partial_indexes", "supports_expression_indexes"],
                "constraints": [
                    models.UniqueConstraint(fields=("backend", "name"), name="django_loco_lock_once"),
                ],
                "indexes": [models.Index(fields=["memory_until"], name="django_loco_lock_old")],
            },
        ),
    ]
