"""One worker, and jobs that are unique, limited, or parts of a batch or a chain: ``control_jobs.py MEASURE COUNT``.

It runs in a Django site and prints one JSON object. Rates are per second, other figures are milliseconds.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import django

django.setup()
logging.disable(logging.INFO)

from django_loco.queues import queue_for  # noqa: E402 - when Django is set up
from django_loco.tasks import batch, chain, enqueue_many, task  # noqa: E402
from django_loco.worker.worker import Worker  # noqa: E402

ROUNDS, PAUSE_SECONDS, WAIT_SECONDS = 5, 0.05, 600.0
THREADS = 10
begun: list[float] = []
ended: list[float] = []
customers: list[int] = []


@task
def empty(number: int) -> None:
    """Do nothing."""


@task(unique=True)
def unique(number: int) -> None:
    """Do nothing, once per number."""


@task(limits=["free"])
def limited(number: int) -> None:
    """Do nothing, at most a thousand times at once."""


@task(limits=["tenant"], limit_key="customer")
def of_customer(customer: int) -> None:
    """Note whose turn it was."""
    customers.append(customer)


@task
def note(number: int) -> None:  # noqa: ARG001
    """Note when it began and ended."""
    begun.append(time.monotonic())
    ended.append(time.monotonic())


@task
def finished(batch_id: str) -> None:  # noqa: ARG001
    """Note when it began."""
    begun.append(time.monotonic())


@contextmanager
def working(*, drain: bool = False) -> Iterator[Worker]:
    """Run a worker during the block, with ``drain`` until no job is left."""
    worker = Worker(queue_for("default"), threads=THREADS, coroutines=1, lease=30, result_ttl=3600, drain=drain)
    worker.start()
    try:
        yield worker
    finally:
        if not drain:
            worker.stop(time.monotonic() + 10)
        worker.join()


def rate(run: Callable[[], object], count: int) -> float:
    """Return how many of the ``count`` things that ``run`` does it does in a second."""
    began = time.monotonic()
    run()
    return count / (time.monotonic() - began)


def drained() -> None:
    """Run all jobs that wait."""
    with working(drain=True):
        """It ends by itself."""


def wait_until(done: Callable[[], bool]) -> None:
    """Raises ``TimeoutError`` after ten minutes."""
    until = time.monotonic() + WAIT_SECONDS
    while not done():
        if time.monotonic() > until:
            raise TimeoutError(f"nothing came of it within {WAIT_SECONDS:.0f} s")
        time.sleep(0.001)


def unique_jobs(count: int) -> dict[str, float]:
    """Enqueue plain jobs and unique ones by turns, each by a call of its own."""
    plain, once = [], []
    for first in range(0, count, max(1, count // ROUNDS)):
        numbers = range(first, first + max(1, count // ROUNDS))
        for found, each in ((plain, empty), (once, unique)):
            found.append(rate(lambda each=each, numbers=numbers: [each.enqueue(n) for n in numbers], len(numbers)))  # type: ignore[misc]
    return {"plain": median(plain), "unique": median(once)}


def limits(count: int) -> dict[str, float]:
    """Run plain jobs and limited ones, of which none has to wait, by turns."""
    plain, bound = [], []
    for _ in range(ROUNDS):
        for found, each in ((plain, empty), (bound, limited)):
            enqueue_many(each, range(count))
            found.append(rate(drained, count))
    return {"plain": median(plain), "limited": median(bound)}


def keys(count: int) -> dict[str, float]:
    """Run twenty jobs of each of ``count`` customers, one at a time; compare their turns when half of them have run."""
    for customer in range(count):
        enqueue_many(of_customer, [customer] * 20)
    found = rate(drained, 20 * count)
    turns = Counter(customers[: 10 * count])
    jain = sum(turns.values()) ** 2 / (count * sum(each**2 for each in turns.values()))
    return {"rate": found, "jain": jain}


def members(count: int) -> dict[str, float]:
    """Run a batch of ``count`` jobs; measure from the end of the last one to the start of the job that follows it."""
    began = time.monotonic()
    with batch("large", on_finish=finished) as large:
        large.enqueue_many(empty, range(count - 1))
        large.enqueue(note, 0)
    stored = time.monotonic()
    with working():
        wait_until(lambda: len(begun) == 2)
    large.refresh()
    if large.state != "finished" or large.counts.succeeded != count:
        raise RuntimeError(f"the batch is {large.state} with {large.counts}")
    return {
        "enqueue": count / (stored - began),
        "rate": count / (ended[0] - stored),
        "closed": 1000 * (begun[1] - ended[0]),
    }


def steps(count: int) -> dict[str, float]:
    """Measure an idle worker's way from ``enqueue`` to the job, and from each node of a chain to the next."""
    with working():
        alone = []
        for number in range(count):
            time.sleep(PAUSE_SECONDS)
            called = time.monotonic()
            note.enqueue(number)
            wait_until(lambda number=number: len(ended) > number)  # type: ignore[misc]
            alone.append(begun[-1] - called)
        del begun[:], ended[:]
        chain(*(note.si(number) for number in range(count))).enqueue()
        wait_until(lambda: len(ended) == count)
    gaps = [after - before for before, after in zip(ended, begun[1:], strict=False)]
    return {"job": 1000 * median(alone), "step": 1000 * median(gaps)}


MEASURES: dict[str, Callable[[int], dict[str, float]]] = {
    "unique": unique_jobs,
    "limits": limits,
    "keys": keys,
    "batch": members,
    "chain": steps,
}

if __name__ == "__main__":
    print(json.dumps(MEASURES[sys.argv[1]](int(sys.argv[2]))))
