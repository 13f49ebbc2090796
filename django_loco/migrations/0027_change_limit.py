from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0026_schedule_expires")]

    operations = [
        migrations.AlterModelOptions(
            name="locoworker",
            options={
                "default_permissions": (),
                "permissions": [
                    ("view_worker", "Can view workers and queues"),
                    ("pause_queue", "Can pause and resume queues"),
                    ("control_worker", "Can quiet and stop workers"),
                    ("change_limit", "Can change limits"),
                ],
                "verbose_name": "worker",
                "verbose_name_plural": "workers and queues",
            },
        ),
    ]
