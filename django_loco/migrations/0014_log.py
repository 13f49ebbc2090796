from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0013_minute")]

    operations = [
        migrations.AddField(model_name="storedjob", name="log", field=models.TextField(null=True)),
    ]
