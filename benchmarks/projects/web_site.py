"""A small page, the jobs that run beside it, and how to enqueue them: all due at the moment ``BENCH_DUE``."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import bodies
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.template import Context, Engine
from django.urls import path

application = get_wsgi_application()

from django_loco.tasks import enqueue_many as enqueue_calls  # noqa: E402 - not before Django is set up
from django_loco.tasks.decorator import task  # noqa: E402

ROWS = [{"name": f"product {number}", "price": number * 1.5} for number in range(20)]
PAGE = Engine().from_string(
    "<title>{{ title }}</title><ul>{% for row in rows %}<li>{{ row.name|title }}: {{ row.price }}</li>{% endfor %}</ul>"
)
#: Turns of a loop: some ten milliseconds of a processor.
TURNS = 300_000


@task
def empty(number: int) -> None:
    bodies.mark(number)


@task
def compute(number: int) -> None:
    total = 0
    for turn in range(TURNS):
        total += turn
    bodies.mark(number)


KINDS: dict[str, Any] = {"empty": empty, "compute": compute}


def page(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE.render(Context({"title": "A small page", "rows": ROWS})))


urlpatterns = [path("", page)]


def enqueue(kind: str, number: int) -> None:
    enqueue_many(kind, [number])


def enqueue_many(kind: str, numbers: Sequence[int]) -> None:
    due = datetime.fromtimestamp(float(os.environ["BENCH_DUE"]), UTC)
    enqueue_calls(KINDS[kind].using(run_after=due), numbers)
