from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0001_initial")]

    operations = [
        migrations.AddField(model_name="storedjob", name="checkpoint", field=models.TextField(null=True)),
    ]
