"""taskiq on Redis streams, the one of its Redis brokers that acknowledges jobs; without a store for results."""

import os

import bodies
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(url=os.environ["BENCH_URL"])

KINDS = {name: broker.task(task_name=name)(getattr(bodies, name)) for name in ("empty", "nap", "aempty", "anap")}


async def open_() -> None:
    await broker.startup()


async def enqueue(kind: str, number: int) -> None:
    await KINDS[kind].kiq(number)


async def close() -> None:
    await broker.shutdown()
