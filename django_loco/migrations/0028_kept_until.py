from django.db import migrations, models
from django.db.models import Q

from ._beside_writers import AddIndexBesideWriters, InOneTransaction


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0027_change_limit")]
    #: PostgreSQL cannot build an index concurrently in a transaction.
    atomic = False

    operations = [
        InOneTransaction(
            [
                migrations.AddField(model_name="storedjob", name="kept_until", field=models.DateTimeField(null=True)),
                migrations.RemoveIndex(model_name="storedjob", name="django_loco_finished"),
            ]
        ),
        AddIndexBesideWriters(
            model_name="storedjob",
            index=models.Index(
                fields=["backend", "finished_at"],
                condition=Q(finished_at__isnull=False, kept_until__isnull=True),
                name="django_loco_finished",
            ),
        ),
        AddIndexBesideWriters(
            model_name="storedjob",
            index=models.Index(
                fields=["backend", "kept_until"], condition=Q(kept_until__isnull=False), name="django_loco_kept"
            ),
        ),
    ]
