"""django-ox."""

from .base import DJANGO, MANAGE, MIGRATE, System


def _system(store: str) -> System:
    return System(
        name="django-ox",
        store=store,
        packages=("django-ox", "psycopg[binary]"),
        jobs="ox_jobs",
        worker=(*MANAGE, "ox_worker", "--concurrency", "{width}"),
        settings={
            "INSTALLED_APPS": ["django_ox"],
            "TASKS": {"default": {"BACKEND": "django_ox.backend.OxBackend"}},
        },
        prepare=(MIGRATE,),
        environ=DJANGO,
        many=True,
        remark="looks for jobs once a second when it had none",
    )


SYSTEMS = (_system("postgres"), _system("sqlite"))
