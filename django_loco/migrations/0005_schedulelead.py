from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0004_schedule")]

    operations = [
        migrations.CreateModel(
            name="ScheduleLead",
            fields=[
                ("scope", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("holder", models.CharField(max_length=64)),
                ("beat", models.BigIntegerField()),
                ("fired", models.TextField()),
                ("told_at", models.DateTimeField()),
            ],
            options={"verbose_name": "schedule lead", "db_table": "django_loco_schedule_lead"},
        ),
    ]
