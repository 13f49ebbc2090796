from django.db import migrations


class Migration(migrations.Migration):
    """Schedulers of an older release go on without the table: each of them fires all that is due."""

    dependencies = [("django_loco", "0008_storedworker")]

    operations = [migrations.DeleteModel(name="ScheduleLead")]
