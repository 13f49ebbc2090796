from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0007_storedworker")]

    operations = [
        migrations.AddIndex(
            model_name="storedjob",
            index=models.Index(
                fields=["backend", "-priority", "due_at", "id"],
                condition=models.Q(("lost__gte", 2), ("status", "READY")),
                name="django_loco_suspects",
            ),
        ),
    ]
