"""django-tasks-db, the backend that was part of ``django-tasks`` before."""

from .base import DJANGO, MANAGE, MIGRATE, System


def _system(store: str) -> System:
    return System(
        name="django-tasks-db",
        store=store,
        packages=("django-tasks-db", "psycopg[binary]"),
        jobs="django_jobs",
        worker=(*MANAGE, "db_worker", "--verbosity", "0"),
        settings={
            "INSTALLED_APPS": ["django_tasks_db"],
            "TASKS": {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}},
        },
        prepare=(MIGRATE,),
        environ=DJANGO,
        threads=False,
        remark="one job at a time; looks for jobs once a second when it had none",
    )


SYSTEMS = (_system("postgres"), _system("sqlite"))
