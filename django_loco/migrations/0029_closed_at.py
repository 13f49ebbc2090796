from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0028_kept_until")]

    operations = [
        migrations.AddField(model_name="storedlimit", name="closed_at", field=models.BigIntegerField(null=True)),
    ]
