from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from ._beside_writers import AddIndexBesideWriters, InOneTransaction


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0024_workflow_edge")]
    #: PostgreSQL cannot build an index concurrently in a transaction.
    atomic = False

    operations = [
        InOneTransaction(
            [
                migrations.AddField(model_name="storedjob", name="limit_key", field=models.TextField(null=True)),
                migrations.CreateModel(
                    name="StoredLimit",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("backend", models.TextField()),
                        ("kind", models.TextField()),
                        ("name", models.TextField()),
                        ("tat", models.BigIntegerField()),
                        ("closed_until", models.BigIntegerField()),
                        ("changed", models.TextField(null=True)),
                    ],
                    options={
                        "verbose_name": "limit",
                        "db_table": "django_loco_limit",
                        "required_db_features": ["supports_partial_indexes", "supports_expression_indexes"],
                        "constraints": [
                            models.UniqueConstraint(fields=("backend", "kind", "name"), name="django_loco_limit_key")
                        ],
                    },
                ),
            ]
        ),
        AddIndexBesideWriters(
            model_name="storedjob",
            index=models.Index(
                F("backend"),
                F("is_async"),
                F("limit_key"),
                F("priority").desc(),
                Coalesce("run_after", "enqueued_at"),
                F("id"),
                F("queue_name"),
                condition=Q(status="READY", limit_key__isnull=False),
                name="django_loco_limited",
            ),
        ),
        AddIndexBesideWriters(
            model_name="storedjob",
            index=models.Index(
                fields=["backend", "limit_key"],
                condition=Q(status="RUNNING", limit_key__isnull=False),
                name="django_loco_limited_running",
            ),
        ),
    ]
