"""RQ."""

import os
from collections.abc import Sequence

import bodies
from redis import Redis
from rq import Queue

queue = Queue(connection=Redis.from_url(os.environ["BENCH_URL"]))


def enqueue(kind: str, number: int) -> None:
    queue.enqueue(getattr(bodies, kind), number)


def enqueue_many(kind: str, numbers: Sequence[int]) -> None:
    function = getattr(bodies, kind)
    queue.enqueue_many([Queue.prepare_data(function, (number,)) for number in numbers])
