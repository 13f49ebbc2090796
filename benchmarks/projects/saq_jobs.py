"""SAQ on Redis or PostgreSQL. Its jobs get a context first, and arguments by name. As a program: make tables."""

import asyncio
import os
from typing import Any

import bodies
from saq import Queue

queue = Queue.from_url(os.environ["BENCH_URL"])


def empty(_: Any, *, number: int) -> None:
    bodies.empty(number)


def nap(_: Any, *, number: int) -> None:
    bodies.nap(number)


async def aempty(_: Any, *, number: int) -> None:
    await bodies.aempty(number)


async def anap(_: Any, *, number: int) -> None:
    await bodies.anap(number)


#: What ``saq saq_jobs.settings`` starts.
settings = {
    "queue": queue,
    "functions": [empty, nap, aempty, anap],
    "concurrency": int(os.environ.get("BENCH_WIDTH", "10")),
}


async def open_() -> None:
    await queue.connect()


async def enqueue(kind: str, number: int) -> None:
    await queue.enqueue(kind, number=number)


async def close() -> None:
    await queue.disconnect()


async def make_tables() -> None:
    await open_()
    await close()


if __name__ == "__main__":
    asyncio.run(make_tables())
