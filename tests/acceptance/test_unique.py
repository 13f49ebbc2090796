"""Unique jobs of many processes, and under kill -9: never two jobs with a key, never a key without a job."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter

import pytest

from django_loco.core.job import READY, RUNNING

from .chaos import SCALE, notes, redis_queue, statuses, wait_until
from .storm import SEED

pytestmark = pytest.mark.storm

PROCESSES = 100
#: Each is stopped until all are there.
AT_ONCE = """
import os
from django.db import connections
from django_loco.queues import queue_for
from tests.app.tasks import sync_stock
queue_for("default").holders(["imports what the children need"])
connections.close_all()
gate, open_gate = os.pipe()
said, say = os.pipe()
children = []
for _ in range({processes}):
    children.append(os.fork())
    if not children[-1]:
        os.close(open_gate)
        os.read(gate, 1)
        result = sync_stock.enqueue("a")
        os.write(say, f"{{result.id}} {{result.duplicate}}\\n".encode())
        os._exit(0)
os.close(open_gate)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * {processes}
os.close(say)
print(os.fdopen(said).read())
"""
NUMBERS = 12
AGAIN_AND_AGAIN = """
import time
from pathlib import Path
from django_loco.tasks import enqueue_many
from tests.app.tasks import unique_step
while not Path({end!r}).exists():
    enqueue_many(unique_step, range({numbers}))
    time.sleep(0.05)
"""
DUPLICATES = """
from django_loco.tasks import enqueue_many
from tests.app.tasks import unique_step
print(sum(result.duplicate for result in enqueue_many(unique_step, range({numbers}))))
"""
KILLS = 2 * SCALE


def test_of_a_hundred_processes_at_once_one_makes_a_job(any_site):
    lines = any_site.shell(AT_ONCE.format(processes=PROCESSES), timeout=50).split("\n")
    said = [line.split() for line in lines if line.endswith(("True", "False"))]
    assert Counter(duplicate for _, duplicate in said) == {"True": PROCESSES - 1, "False": 1}
    assert len({job_id for job_id, _ in said}) == 1
    assert statuses(any_site) == {"READY": 1}


def test_kill_9_leaves_no_key_behind_and_makes_no_second_job(any_site, capsys):
    any_site.settings["LOCO"] = {"LEASE": 1, "NUM_WORKERS": 3}
    chance = random.Random(f"{SEED}")
    end = any_site.folder / "end"
    code = AGAIN_AND_AGAIN.format(end=str(end), numbers=NUMBERS)
    enqueuer = threading.Thread(target=any_site.shell, args=[code, 60 * SCALE])
    workers = [any_site.start("loco_worker") for _ in range(2)]
    enqueuer.start()
    try:
        for kill in range(KILLS):
            wait_until(lambda enough=(kill + 1) * NUMBERS * SCALE: notes(any_site, "start").total() >= enough, 60)
            victim = workers.pop(chance.randrange(2))
            victim.signal(signal.SIGKILL)
            assert victim.wait() == -signal.SIGKILL
            assert set(holders(any_site).values()) <= {1}, f"LOCO_CHAOS_SEED={SEED}"
            workers.append(any_site.start("loco_worker"))
    finally:
        end.touch()
        enqueuer.join()
    wait_until(lambda: not {"READY", "RUNNING"} & set(statuses(any_site)))
    for worker in workers:
        worker.wait_for("stop +Ctrl-C")  # until then a signal kills it
    assert {worker.terminate() for worker in workers} == {0}
    ended = statuses(any_site)
    assert any_site.shell(DUPLICATES.format(numbers=NUMBERS)).split()[-1] == "0", "a key has no job"
    assert sum(holders(any_site).values()) == NUMBERS
    with capsys.disabled():
        print(f"\n{KILLS} kills among {sum(ended.values())} unique jobs: no key was left behind")


def holders(site):
    """Count the jobs that have not ended, by their unique keys."""
    if queue := redis_queue(site):
        jobs = queue.list(limit=100_000)
        return Counter(job.unique_key for job in jobs if job.status in (READY, RUNNING))
    unfinished = "select unique_key from django_loco_job where status in ('READY', 'RUNNING')"
    return Counter(key for (key,) in site.query(unfinished))
