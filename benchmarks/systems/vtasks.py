"""django-vtasks on Valkey's protocol, which its own driver speaks to Redis as well."""

from .base import DJANGO, MANAGE, System

SYSTEMS = (
    System(
        name="django-vtasks",
        store="redis",
        packages=("django-vtasks[valkey]",),
        jobs="vtasks_jobs",
        worker=(*MANAGE, "runworker", "--concurrency", "{width}"),
        settings={
            "INSTALLED_APPS": ["django_vtasks"],
            "TASKS": {
                "default": {
                    "BACKEND": "django_vtasks.backends.valkey.ValkeyTaskBackend",
                    "OPTIONS": {"BROKER_URL": "{url}"},
                }
            },
            "BENCH_TASK": "django_vtasks.task",
        },
        environ=DJANGO,
        coroutines=True,
        many=True,
        remark="keeps no results; sync jobs on asyncio's default threads, whose number it does not set",
    ),
)
