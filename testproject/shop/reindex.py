"""The three ways to bring the whole catalogue into the index."""

from __future__ import annotations

import time
from typing import Any

from django_loco.core.job import READY, RUNNING
from django_loco.exceptions import QueueError
from django_loco.queues import queue_for
from django_loco.tasks import enqueue_many

from .models import Product, Reindex
from .tasks import BATCH, index_batch, index_product, index_product_async

QUEUE_NAME = "index"


class StillRunning(Exception):
    """The jobs of the last re-index have not all come to an end."""


def start(kind: str) -> Reindex:
    """Enqueue the jobs of a re-index.

    Raises ``StillRunning`` (two at once would hide how fast each is), or a ``QueueError`` and nothing is stored.
    """
    if any(unfinished()):
        raise StillRunning
    pks = list(Product.objects.order_by("pk").values_list("pk", flat=True))
    run: Reindex = Reindex.objects.create(kind=kind, products=len(pks), jobs=0)
    task, calls = _calls(run, pks)
    Reindex.objects.filter(pk=run.pk).update(jobs=len(calls))
    began = time.monotonic()
    try:
        enqueue_many(task, calls)
    except QueueError:
        run.delete()
        raise
    Reindex.objects.filter(pk=run.pk).update(enqueued_in=time.monotonic() - began)
    return run


def _calls(run: Reindex, pks: list[int]) -> tuple[Any, list[tuple[Any, str]]]:
    name = str(run.pk)
    match run.kind:
        case Reindex.Kind.SINGLE:
            return index_product, [(pk, name) for pk in pks]
        case Reindex.Kind.ASYNC:
            return index_product_async, [(pk, name) for pk in pks]
        case _:
            return index_batch, [(pks[at : at + BATCH], name) for at in range(0, len(pks), BATCH)]


def unfinished() -> tuple[int, int]:
    """Return how many re-index jobs wait and how many run, by the queue's own count."""
    counts = queue_for(index_product.backend).counts()
    waiting, running = (counts.get((QUEUE_NAME, status), 0) for status in (READY, RUNNING))
    return waiting, running
