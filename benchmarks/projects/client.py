"""The program that enqueues: ``client.py JOBS HOW KIND FIRST COUNT [SHORTEST LONGEST]``, run in a system's environment.

``JOBS`` is the module of a system beside this one. It has ``enqueue(kind, number)`` and, if the system can, also
``enqueue_many(kind, numbers)``, plain or ``async``; ``open_()``, if there is one, is called first. ``KIND`` is one of
the functions in ``bodies``.

``HOW`` is one of:

``singly``
    one call per job, one after the other.
``many``
    ``BATCH`` jobs per call, or singly if the system has no such call.
``paced``
    one call after a pause between ``SHORTEST`` and ``LONGEST`` seconds, and so on; when each began is printed.

What it prints is JSON: the seconds from the first call to the end of the last, and for ``paced`` the beginnings in
nanoseconds. A job that opens the connections is enqueued first and not timed; it counts as the first of them.
"""

import asyncio
import importlib
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from inspect import iscoroutinefunction
from typing import Any

BATCH = 1000
#: Nanoseconds per second.
NANO = 1e9


class Client:
    """Enqueues with plain functions."""

    def __init__(self, jobs: Any, kind: str) -> None:
        self.kind = kind
        self.one: Callable[..., Any] = jobs.enqueue
        self.several: Callable[..., Any] | None = getattr(jobs, "enqueue_many", None)

    def singly(self, numbers: Sequence[int]) -> list[int]:
        for number in numbers:
            self.one(self.kind, number)
        return []

    def many(self, numbers: Sequence[int]) -> list[int]:
        if self.several is None:
            return self.singly(numbers)
        for start in range(0, len(numbers), BATCH):
            self.several(self.kind, numbers[start : start + BATCH])
        return []

    def paced(self, numbers: Sequence[int], shortest: float, longest: float) -> list[int]:
        beginnings = []
        for number in numbers:
            time.sleep(random.uniform(shortest, longest))
            beginnings.append(time.monotonic_ns())
            self.one(self.kind, number)
        return beginnings


class AsyncClient:
    """Enqueues with coroutines, awaiting one before it begins the next."""

    def __init__(self, jobs: Any, kind: str) -> None:
        self.kind = kind
        self.one: Callable[..., Any] = jobs.enqueue
        self.several: Callable[..., Any] | None = getattr(jobs, "enqueue_many", None)

    async def singly(self, numbers: Sequence[int]) -> list[int]:
        for number in numbers:
            await self.one(self.kind, number)
        return []

    async def many(self, numbers: Sequence[int]) -> list[int]:
        if self.several is None:
            return await self.singly(numbers)
        for start in range(0, len(numbers), BATCH):
            await self.several(self.kind, numbers[start : start + BATCH])
        return []

    async def paced(self, numbers: Sequence[int], shortest: float, longest: float) -> list[int]:
        beginnings = []
        for number in numbers:
            await asyncio.sleep(random.uniform(shortest, longest))
            beginnings.append(time.monotonic_ns())
            await self.one(self.kind, number)
        return beginnings


def run(jobs: Any, how: str, kind: str, numbers: Sequence[int], pauses: Sequence[float]) -> dict[str, Any]:
    if hasattr(jobs, "open_"):
        jobs.open_()
    client = Client(jobs, kind)
    client.one(kind, numbers[0])
    begun = time.monotonic_ns()
    beginnings = getattr(client, how)(numbers[1:], *pauses)
    return {"seconds": (time.monotonic_ns() - begun) / NANO, "beginnings": beginnings}


async def arun(jobs: Any, how: str, kind: str, numbers: Sequence[int], pauses: Sequence[float]) -> dict[str, Any]:
    if hasattr(jobs, "open_"):
        await jobs.open_()
    client = AsyncClient(jobs, kind)
    await client.one(kind, numbers[0])
    begun = time.monotonic_ns()
    beginnings = await getattr(client, how)(numbers[1:], *pauses)
    seconds = (time.monotonic_ns() - begun) / NANO
    await jobs.close()
    return {"seconds": seconds, "beginnings": beginnings}


def main() -> None:
    name, how, kind, first, count, *pauses = sys.argv[1:]
    jobs = importlib.import_module(name)
    numbers = range(int(first), int(first) + int(count))
    given = (jobs, how, kind, numbers, [float(pause) for pause in pauses])
    told = asyncio.run(arun(*given)) if iscoroutinefunction(jobs.enqueue) else run(*given)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
