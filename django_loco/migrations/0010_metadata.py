from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0009_delete_schedulelead")]

    operations = [
        migrations.AddField(model_name="storedjob", name="metadata", field=models.TextField(null=True)),
    ]
