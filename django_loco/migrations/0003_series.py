from django.db import migrations, models
from django.db.models.functions import Replace

from ._beside_writers import AddIndexBesideWriters


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0002_checkpoint")]
    #: PostgreSQL cannot build an index concurrently in a transaction.
    atomic = False

    operations = [
        AddIndexBesideWriters(
            model_name="storedjob",
            index=models.Index(
                models.F("backend"),
                models.Func(
                    models.F("key"),
                    Replace("key", models.Value("@")),
                    function="RTRIM",
                    output_field=models.TextField(),
                ),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("key__isnull", False)),
                name="django_loco_series",
            ),
        ),
    ]
