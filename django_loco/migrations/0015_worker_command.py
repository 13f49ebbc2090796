from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0014_log")]

    operations = [
        migrations.AddField(model_name="storedworker", name="command", field=models.TextField(null=True)),
        migrations.AlterModelOptions(
            name="locoworker",
            options={
                "default_permissions": (),
                "permissions": [
                    ("view_worker", "Can view workers and queues"),
                    ("pause_queue", "Can pause and resume queues"),
                    ("control_worker", "Can quiet and stop workers"),
                ],
                "verbose_name": "worker",
                "verbose_name_plural": "workers and queues",
            },
        ),
    ]
