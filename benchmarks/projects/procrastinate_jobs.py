"""procrastinate as an app of Django."""

from collections.abc import Sequence

import bodies
import django
from django.apps import apps

if not apps.ready:  # in the program that enqueues; a worker has done it
    django.setup()

from procrastinate.contrib.django import app


@app.task
def empty(number: int) -> None:
    bodies.empty(number)


@app.task
def nap(number: int) -> None:
    bodies.nap(number)


@app.task
async def aempty(number: int) -> None:
    await bodies.aempty(number)


@app.task
async def anap(number: int) -> None:
    await bodies.anap(number)


KINDS = {"empty": empty, "nap": nap, "aempty": aempty, "anap": anap}


def enqueue(kind: str, number: int) -> None:
    KINDS[kind].defer(number=number)


def enqueue_many(kind: str, numbers: Sequence[int]) -> None:
    KINDS[kind].batch_defer(*({"number": number} for number in numbers))
