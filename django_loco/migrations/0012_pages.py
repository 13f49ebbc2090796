from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0011_paused_queue")]

    operations = [
        migrations.CreateModel(
            name="LocoJob",
            fields=[],
            options={
                "verbose_name": "job",
                "verbose_name_plural": "jobs",
                "proxy": True,
                "permissions": [
                    ("view_job", "Can view jobs in any queue"),
                    ("retry_job", "Can retry jobs"),
                    ("cancel_job", "Can cancel jobs"),
                    ("discard_job", "Can discard jobs"),
                    ("delete_job", "Can delete jobs"),
                    ("move_job", "Can move jobs to another queue"),
                    ("run_again_job", "Can run jobs again with other arguments"),
                ],
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("django_loco.storedjob",),
        ),
        migrations.CreateModel(
            name="LocoWorker",
            fields=[],
            options={
                "verbose_name": "worker",
                "verbose_name_plural": "workers and queues",
                "proxy": True,
                "permissions": [
                    ("view_worker", "Can view workers and queues"),
                    ("pause_queue", "Can pause and resume queues"),
                ],
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("django_loco.storedworker",),
        ),
    ]
