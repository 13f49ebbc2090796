from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_loco", "0022_job_pause"),
    ]

    operations = [
        migrations.AddField(
            model_name="storedjob",
            name="waits",
            field=models.TextField(null=True),
        ),
        migrations.AddField(
            model_name="storedjob",
            name="signals",
            field=models.TextField(null=True),
        ),
    ]
