"""huey on Redis or SQLite."""

import os

import bodies
from huey import RedisHuey, SqliteHuey

if os.environ["BENCH_STORE"] == "redis":
    huey = RedisHuey("bench", url=os.environ["BENCH_URL"])
else:
    huey = SqliteHuey("bench", filename=os.environ["BENCH_FILE"])

KINDS = {name: huey.task(name=name)(getattr(bodies, name)) for name in ("empty", "nap")}


def enqueue(kind: str, number: int) -> None:
    KINDS[kind](number)
