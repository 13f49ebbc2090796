from django.db import migrations, models
from django.db.models import Q

from ._beside_writers import AddUniqueBesideWriters, InOneTransaction


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0017_lock")]
    #: PostgreSQL cannot build an index concurrently in a transaction.
    atomic = False

    operations = [
        InOneTransaction(
            [
                migrations.AddField(model_name="storedjob", name="unique_key", field=models.TextField(null=True)),
                migrations.AddField(model_name="storedjob", name="unique_until", field=models.TextField(null=True)),
            ]
        ),
        AddUniqueBesideWriters(
            model_name="storedjob",
            constraint=models.UniqueConstraint(
                fields=["backend", "unique_key"],
                condition=Q(unique_key__isnull=False)
                & (
                    Q(finished_at__isnull=True, unique_until="finished")
                    | Q(started_at__isnull=True, status="READY", unique_until="started")
                    | Q(unique_until__gt="0", unique_until__lt="9")
                ),
                name="django_loco_unique_key",
            ),
        ),
    ]
