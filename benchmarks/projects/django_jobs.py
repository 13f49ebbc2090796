"""The jobs as tasks of Django, by the decorator that the settings name."""

import bodies
import django
from django.apps import apps
from django.conf import settings
from django.utils.module_loading import import_string

if not apps.ready:  # in the program that enqueues; a worker has done it
    django.setup()

task = import_string(getattr(settings, "BENCH_TASK", "django.tasks.task"))


@task
def empty(number: int) -> None:
    bodies.empty(number)


@task
def nap(number: int) -> None:
    bodies.nap(number)


@task
async def aempty(number: int) -> None:
    await bodies.aempty(number)


@task
async def anap(number: int) -> None:
    await bodies.anap(number)


KINDS = {"empty": empty, "nap": nap, "aempty": aempty, "anap": anap}


def enqueue(kind: str, number: int) -> None:
    KINDS[kind].enqueue(number)
