from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0015_worker_command")]

    operations = [
        migrations.AddField(model_name="storedjob", name="expires_at", field=models.DateTimeField(null=True)),
    ]
