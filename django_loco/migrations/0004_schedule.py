import django.core.validators
import django.utils.timezone
from django.db import migrations, models

import django_loco.models.schedule


class Migration(migrations.Migration):
    dependencies = [
        ("django_loco", "0003_series"),
    ]

    operations = [
        migrations.CreateModel(
            name="Schedule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200, unique=True)),
                ("description", models.TextField(blank=True)),
                ("run", models.CharField(max_length=1000)),
                ("args", models.JSONField(blank=True, default=list)),
                ("kwargs", models.JSONField(blank=True, default=dict)),
                ("schedule", models.CharField(blank=True, max_length=500)),
                ("at", models.DateTimeField(blank=True, null=True)),
                ("after", models.CharField(blank=True, max_length=200)),
                ("timezone", models.CharField(blank=True, max_length=100)),
                ("start", models.DateTimeField(blank=True, null=True)),
                ("end", models.DateTimeField(blank=True, null=True)),
                (
                    "jitter",
                    models.FloatField(
                        blank=True, null=True, validators=[django.core.validators.MinValueValidator(0.0)]
                    ),
                ),
                (
                    "misfire",
                    models.CharField(
                        choices=[
                            ("skip", "leave them out"),
                            ("once", "make up for the last one"),
                            ("all", "make up for all"),
                        ],
                        default="once",
                        max_length=10,
                    ),
                ),
                (
                    "grace",
                    models.FloatField(
                        blank=True, null=True, validators=[django.core.validators.MinValueValidator(0.0)]
                    ),
                ),
                (
                    "cap",
                    models.PositiveIntegerField(
                        blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)]
                    ),
                ),
                (
                    "overlap",
                    models.CharField(
                        choices=[("allow", "run both"), ("skip", "leave it out"), ("queue", "let it wait")],
                        default="allow",
                        max_length=10,
                    ),
                ),
                ("queue", models.CharField(blank=True, max_length=100)),
                ("priority", models.SmallIntegerField(blank=True, null=True)),
                (
                    "max_attempts",
                    models.PositiveIntegerField(
                        blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)]
                    ),
                ),
                (
                    "timeout",
                    models.FloatField(
                        blank=True, null=True, validators=[django.core.validators.MinValueValidator(0.0)]
                    ),
                ),
                ("tags", models.JSONField(blank=True, default=list)),
                ("changed_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "revision",
                    models.PositiveIntegerField(default=django_loco.models.schedule.new_revision, editable=False),
                ),
            ],
            options={
                "db_table": "django_loco_schedule",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="ScheduleState",
            fields=[
                ("name", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("paused_at", models.DateTimeField(blank=True, null=True)),
                ("paused_by", models.CharField(blank=True, max_length=200)),
                ("resumed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "schedule state",
                "db_table": "django_loco_schedule_state",
            },
        ),
    ]
