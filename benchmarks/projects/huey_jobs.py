"""huey on Redis or SQLite."""

import os

import bodies
from huey import RedisHuey, SqliteHuey

if os.environ["BENCH_STORE"] == "redis":
    huey = RedisHuey("bench", url=os.environ["BENCH_URL"])
else:
    # The Django sites have synchronous = NORMAL, which in WAL waits for the disk at checkpoints only. huey knows FULL,
    # which waits at each commit and is its default, and OFF.
    durable = os.environ["BENCH_SYNCHRONOUS"] == "FULL"
    huey = SqliteHuey("bench", filename=os.environ["BENCH_FILE"], fsync=durable)

KINDS = {name: huey.task(name=name)(getattr(bodies, name)) for name in ("empty", "nap")}


def enqueue(kind: str, number: int) -> None:
    KINDS[kind](number)
