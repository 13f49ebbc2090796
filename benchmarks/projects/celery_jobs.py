"""Celery with its Redis transport, without a store for results: that is its default, and the faster one."""

import os

import bodies
from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_URL"])
app.conf.broker_connection_retry_on_startup = True

KINDS = {name: app.task(getattr(bodies, name), name=name) for name in ("empty", "nap")}


def enqueue(kind: str, number: int) -> None:
    KINDS[kind].delay(number)
