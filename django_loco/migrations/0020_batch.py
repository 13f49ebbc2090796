from django.db import migrations, models

from ._beside_writers import AddIndexBesideWriters, InOneTransaction


class Migration(migrations.Migration):
    dependencies = [
        ("django_loco", "0019_progress"),
    ]
    #: PostgreSQL cannot build an index concurrently in a transaction.
    atomic = False

    operations = [
        InOneTransaction(
            [
                migrations.AddField(
                    model_name="storedjob",
                    name="batch",
                    field=models.TextField(null=True),
                ),
                migrations.CreateModel(
                    name="StoredBatch",
                    fields=[
                        ("id", models.TextField(primary_key=True, serialize=False)),
                        ("backend", models.TextField()),
                        ("name", models.TextField()),
                        ("callbacks", models.TextField()),
                        ("metadata", models.TextField()),
                        ("created_at", models.DateTimeField()),
                        ("sealed_at", models.DateTimeField(null=True)),
                        ("cancelled_at", models.DateTimeField(null=True)),
                        ("finished_at", models.DateTimeField(null=True)),
                        ("called_at", models.DateTimeField(null=True)),
                        ("round", models.IntegerField()),
                        ("total", models.BigIntegerField()),
                        ("succeeded", models.BigIntegerField()),
                        ("failed", models.BigIntegerField()),
                        ("cancelled", models.BigIntegerField()),
                    ],
                    options={
                        "verbose_name": "batch",
                        "verbose_name_plural": "batches",
                        "db_table": "django_loco_batch",
                        "required_db_features": ["supports_partial_indexes", "supports_expression_indexes"],
                    },
                ),
                migrations.AddIndex(
                    model_name="storedbatch",
                    index=models.Index(
                        condition=models.Q(("called_at__isnull", True)),
                        fields=["backend", "id"],
                        name="django_loco_batch_open",
                    ),
                ),
                migrations.AddIndex(
                    model_name="storedbatch",
                    index=models.Index(fields=["backend", "called_at"], name="django_loco_batch_called"),
                ),
            ]
        ),
        AddIndexBesideWriters(
            model_name="storedjob",
            index=models.Index(
                condition=models.Q(("batch__isnull", False)),
                fields=["batch", "status", "id"],
                name="django_loco_batch_members",
            ),
        ),
    ]
