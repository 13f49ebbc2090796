"""What the tests that kill things have in common: jobs whose runs are counted from outside, and a look into the store.

``LOCO_CHAOS`` makes the runs longer (``make chaos``): it multiplies the number of jobs, of kills and of seconds. By
default each storm is the smallest that still fails if a job is lost: CI runs it with each store.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections import Counter

from django_loco.queues.redis import RedisQueue

SCALE = int(os.environ.get("LOCO_CHAOS", "1"))
JOBS = 250 * SCALE
#: Seconds; in the long runs, the default.
LEASE = 3 if SCALE == 1 else 30
ENQUEUE = "from django_loco.tasks import enqueue_many; from tests.app import tasks; enqueue_many(tasks.{}, range({}))"
BOTH = """
from django_loco.tasks import enqueue_many
from tests.app import tasks
enqueue_many(tasks.step, range(0, {0}, 2))
enqueue_many(tasks.astep, range(1, {0}, 2))
"""


def notes(site, word):
    """Count the numbers that jobs noted after ``word``."""
    path = site.folder / "notes"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(line.split()[1] for line in lines if line.startswith(f"{word} "))


def wait_until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def enqueue(site, task="step", count=JOBS):
    site.shell(ENQUEUE.format(task, count))


def enqueue_both(site, count=JOBS):
    """Enqueue ``count`` jobs, sync and async ones in turn."""
    site.shell(BOTH.format(count))


def statuses(site):
    """Count the stored jobs by status."""
    if queue := redis_queue(site):
        totals: Counter[str] = Counter()
        for (_, status), count in queue.counts().items():
            totals[status.value] += count
        return dict(totals)
    return dict(site.query("select status, count(*) from django_loco_job group by status"))


def errors(site):
    """The errors of each stored job, as text."""
    if queue := redis_queue(site):
        return [str(job.errors) for job in queue.list()]
    return [text for (text,) in site.query("select errors from django_loco_job")]


def keys(site, prefix):
    """The once-keys that begin with ``prefix``, in order."""
    if queue := redis_queue(site):
        return sorted(job.key for job in queue.list(limit=10_000) if job.key and job.key.startswith(prefix))
    return [key for (key,) in site.query(f"select key from django_loco_job where key like '{prefix}%' order by key")]


def redis_queue(site):
    """The queue of a site whose jobs are in Redis."""
    options = site.settings.get("TASKS", {}).get("default", {}).get("OPTIONS", {})
    return _redis_queue(json.dumps(options)) if options.get("queue") == "redis" else None


@functools.cache
def _redis_queue(options):
    """One for each server: its connections are not left to the garbage collector."""
    return RedisQueue("default", json.loads(options))


def story(site, count):
    """Say how the runs of ``count`` jobs went: none may be lost."""
    ends, starts = notes(site, "end"), notes(site, "start")
    assert len(ends) == count, f"{count - len(ends)} jobs are lost"
    twice = sum(1 for number in ends.values() if number > 1)
    return f"0 of {count} jobs lost, {twice} ran to the end twice, {starts.total() - count} started again"
