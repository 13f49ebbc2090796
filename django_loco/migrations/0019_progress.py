from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0018_unique_key")]

    operations = [
        migrations.AddField(model_name="storedjob", name="progress", field=models.TextField(null=True)),
    ]
