"""Fills an empty store with millions of jobs, in minutes.

Some jobs are stored one by one, as ``loco_jobs import`` does it. The store then copies the finished ones by itself,
each time under ids of an earlier time. Needs a Django that is set up.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain, islice, product
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django_loco.core.job import FAILED, SUCCESSFUL, Job, error_of, first_id, new_id, utcnow
from django_loco.models import StoredJob
from django_loco.queues import Queue
from django_loco.queues.records.minutes import HOUR, KEPT_MINUTES, NUMBERS, Labels, Minute, minute_of
from django_loco.queues.redis import RedisQueue

BATCH, COPY_BATCH = 5_000, 1_000
#: The number of finished jobs that are stored one by one.
SEED, SECONDS_OF_SEED = 50_000, 1_000
DAY_MINUTES = 24 * 60
QUEUES = ("default", "emails")
TASKS = ("tests.app.tasks.add", "tests.app.tasks.note", "shop.tasks.gone")
ERRORS = (ValueError("no such user"), TimeoutError("30 s"), PermissionDenied("no"), ValidationError("bad"))
#: Copies finished jobs. Arguments: the milliseconds of the newest copy's id, entries of ``finished``, and their times.
COPY = """
local jobs, states, index, finished, failed, counts = unpack(KEYS)
for place = 2, #ARGV, 2 do
  local id, kind, status = ARGV[place]:match('^([^\\t]*)\\t([^\\t]*\\t(%u+))')
  local copy = string.format('%012x', ARGV[1] - place) .. id:sub(13)
  redis.call('HSET', jobs, copy, redis.call('HGET', jobs, id))
  redis.call('HSET', states, copy, redis.call('HGET', states, id))
  redis.call('ZADD', index, 0, copy)
  redis.call('ZADD', finished, ARGV[place + 1], copy .. '\\t' .. kind)
  if status == 'FAILED' then
    redis.call('ZADD', failed, 0, copy)
  end
  redis.call('HINCRBY', counts, kind, 1)
end
"""


def fill(queue: Queue, done: int, waiting: int, age: float = 0.0) -> None:
    """Store finished jobs, and others that were enqueued ``age`` seconds ago and wait; and statistics of 14 days."""
    for batch in batched(finished_jobs(min(SEED, done)), BATCH):
        queue.restore(batch)
    times = done // SEED
    copy_in_redis(queue, times) if isinstance(queue, RedisQueue) else copy_in_database(times)
    for jobs in batched(waiting_jobs(waiting, age), BATCH):
        queue.restore(jobs)
    for minutes in batched(statistics(), BATCH):
        queue.record(minutes)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield lists of ``size`` items; the last may be shorter. Like that of Python 3.12."""
    rest = iter(items)
    while batch := [*islice(rest, size)]:
        yield batch


def waiting_jobs(count: int, age: float) -> Iterator[Job]:
    """Yield jobs that wait."""
    now = utcnow()
    for number in range(count):
        yield job_of(number, now - timedelta(seconds=age + 0.01 * (count - number)))


def finished_jobs(count: int) -> Iterator[Job]:
    """Yield jobs that have ended, each fiftieth with an error."""
    now = utcnow()
    for number in range(count):
        at = now - timedelta(seconds=0.01 * (count - number))
        job = replace(job_of(number, at), started_at=at, last_attempted_at=at, finished_at=at, worker_ids=("w",))
        if number % 50:
            yield replace(job, status=SUCCESSFUL, return_value="3")
        else:
            error = random.choice(ERRORS)
            yield replace(job, status=FAILED, errors=(error_of(type(error), str(error)),))


def job_of(number: int, at: datetime) -> Job:
    """Return a job that was enqueued at a time."""
    return Job(
        id=first_id(at)[:12] + new_id()[12:],
        task_path=random.choice(TASKS),
        backend="default",
        arguments=f"[[{number}, 2], {{}}]",
        queue_name=random.choice(QUEUES),
        tags=("bulk",) if number % 10 == 0 else (),
        enqueued_at=at,
    )


def statistics() -> Iterator[Minute]:
    """Yield the statistics of each minute of a day, and of one in each hour of the 13 days before it."""
    last = minute_of(time.time())
    first, day = last - KEPT_MINUTES + 1, last - DAY_MINUTES
    for minute in chain(range(first, day, HOUR), range(day, last)):
        for queue, task, outcome in product(QUEUES, TASKS, ("successful", "failed")):
            buckets = [0] * (len(NUMBERS) - 3)
            buckets[0] = buckets[len(buckets) // 2] = 40
            yield Minute(Labels(minute, queue, task, outcome), (40, 200_000, 200_000, *buckets))


def copy_in_database(times: int) -> None:
    """Let there be the finished jobs so many times."""
    names = ", ".join(each.column for each in StoredJob._meta.concrete_fields if not each.primary_key)  # noqa: SLF001
    digits = "replace(CAST(id AS text), '-', '')"
    if connection.vendor == "postgresql":
        new = f"CAST(lpad(to_hex(%s - id_number), 12, '0') || substr({digits}, 13) AS uuid)"
    else:
        new = f"printf('%%012x', %s - id_number) || substr({digits}, 13)"
    numbered = f"SELECT *, row_number() OVER (ORDER BY id) AS id_number FROM django_loco_job LIMIT {SEED}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE seed AS {numbered}")
        for each in range(1, times):
            copied = f"INSERT INTO django_loco_job (id, {names}) SELECT {new}, {names} FROM seed"
            cursor.execute(copied, [newest_of_copy(each)])


def copy_in_redis(queue: RedisQueue, times: int) -> None:
    """Let there be the finished jobs so many times."""
    server = queue.server
    keys = [server.key(name) for name in ("jobs", "states", "index", "finished", "failed", "counts")]
    seed = server.ask("ZRANGE", server.key("finished"), 0, -1, "WITHSCORES")
    pairs = [(entry, int(moment)) for entry, moment in pairs_of(seed)]
    for each in range(1, times):
        for place, part in enumerate(batched(pairs, COPY_BATCH)):
            newest = newest_of_copy(each) - 2 * COPY_BATCH * place
            server.ask("EVAL", COPY, len(keys), *keys, newest, *(value for pair in part for value in pair))


def pairs_of(answer: Sequence[Any]) -> Sequence[Any]:
    """Return the members and scores of an answer, which some clients have in pairs already."""
    is_flat = bool(answer) and not isinstance(answer[0], (list, tuple))
    return [*zip(answer[::2], answer[1::2], strict=True)] if is_flat else answer


def newest_of_copy(number: int) -> int:
    """Return the milliseconds since 1970 in the id of a copy's newest job."""
    return int(1000 * (time.time() - SECONDS_OF_SEED * (number + 1)))
