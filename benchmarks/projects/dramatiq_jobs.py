"""dramatiq with its default middleware, and the one that lets it run coroutines."""

import os

import bodies
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware.asyncio import AsyncIO

broker = RedisBroker(url=os.environ["BENCH_URL"])
broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)

KINDS = {name: dramatiq.actor(getattr(bodies, name)) for name in ("empty", "nap", "aempty", "anap")}


def enqueue(kind: str, number: int) -> None:
    KINDS[kind].send(number)
