from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_loco", "0020_batch"),
    ]

    operations = [
        migrations.AddField(
            model_name="storedjob",
            name="steps",
            field=models.TextField(null=True),
        ),
    ]
