"""procrastinate, as an app of Django."""

from .base import DJANGO, MANAGE, MIGRATE, System

SYSTEMS = (
    System(
        name="procrastinate",
        store="postgres",
        packages=("procrastinate[django]", "psycopg[binary]"),
        jobs="procrastinate_jobs",
        worker=(*MANAGE, "procrastinate", "worker", "--concurrency", "{width}"),
        settings={
            "INSTALLED_APPS": ["procrastinate.contrib.django"],
            "PROCRASTINATE_IMPORT_PATHS": ["procrastinate_jobs"],
        },
        prepare=(MIGRATE,),
        environ=DJANGO,
        coroutines=True,
        many=True,
        remark="keeps no results",
    ),
)
