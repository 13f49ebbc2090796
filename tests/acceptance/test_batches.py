"""Every batch is followed exactly once: real workers, killed in the middle of their jobs."""

from __future__ import annotations

import json
import random
import signal
import time

import pytest

from .chaos import LEASE, SCALE, notes, redis_queue, statuses, wait_until
from .storm import SEED

pytestmark = pytest.mark.storm

BATCHES, MEMBERS = 6 * SCALE, 20
#: Some members fail for good, and some add another one. The last batch is never sealed.
FILL = f"""
from django_loco.tasks import batch
from tests.app import tasks
for number in range({BATCHES}):
    with batch(str(number), on_success=tasks.followed, on_failure=tasks.followed, on_finish=tasks.followed) as own:
        own.enqueue_many(tasks.step, [(member, 0.2) for member in range({MEMBERS} - 4)])
        own.enqueue(tasks.grow, number, 2)
        own.enqueue(tasks.grow, number, 0, number % 3 == 0)
        own.enqueue(tasks.grow, number, 1)
        own.enqueue(tasks.grow, number, 0)
    print(own.id)
"""
KILLED = """
import os, signal
from django_loco.tasks import batch
from tests.app import tasks
own = batch("killed", on_finish=tasks.followed)
own.enqueue_many(tasks.step, range(5))
os.kill(os.getpid(), signal.SIGKILL)
"""
STATES = """
import json
from django_loco.tasks import Batch
found = []
for each in Batch.all():
    each.refresh()
    found.append([each.name, each.id, each.state, *each.counts])
print(json.dumps(found))
"""


def batches(site):
    """Return the batches as they are: ``name: (id, state, total, succeeded, failed, cancelled)``."""
    return {name: tuple(rest) for name, *rest in json.loads(site.shell(STATES).splitlines()[-1])}


def test_every_batch_is_followed_once_under_kill_9(any_site, capsys):
    any_site.settings["LOCO"] = {"LEASE": LEASE, "NUM_WORKERS": 3, "ASYNC_WORKERS": 1}
    draw, began = random.Random(SEED), time.monotonic()
    workers = [any_site.start("loco_worker") for _ in range(3)]
    any_site.shell(FILL, 20 + 5 * SCALE)
    kills = 2 * SCALE
    for number in range(1, kills + 1):
        wait_until(lambda done=number: len(notes(any_site, "followed")) >= BATCHES * 0.8 * done / kills, 90 * SCALE)
        victim = workers.pop(draw.randrange(len(workers)))
        victim.signal(signal.SIGKILL)
        workers.append(any_site.start("loco_worker"))
    wait_until(lambda: set(statuses(any_site)) <= {"SUCCESSFUL", "FAILED"}, 60 + 10 * LEASE)
    wait_until(lambda: len(notes(any_site, "followed")) == BATCHES, 60)
    found = batches(any_site)
    for process in workers:
        process.wait_for("stop +Ctrl-C")  # until then a signal kills it
        assert process.terminate() == 0
    with capsys.disabled():
        seconds = time.monotonic() - began
        print(f"\n{BATCHES} batches, {kills} kills, {seconds:.0f} s, LOCO_CHAOS_SEED={SEED}: each followed once")
    assert {state for _, state, *_ in found.values()} == {"finished"}
    for number in range(BATCHES):
        _, _, total, succeeded, failed, cancelled = found[str(number)]
        assert total == succeeded + failed >= MEMBERS + 3, "one that is killed adds its members again"
        assert (failed, cancelled) == (int(number % 3 == 0), 0)
    assert jobs_that_follow(any_site) == 2 * BATCHES


def jobs_that_follow(site):
    """Count the stored jobs that follow batches: two of each."""
    if queue := redis_queue(site):
        return sum(1 for job in queue.list(limit=10_000) if (job.key or "").startswith("batch:"))
    [(count,)] = site.query("select count(*) from django_loco_job where key like 'batch:%'")
    return count


@pytest.mark.extra("sqlite")
def test_a_batch_whose_filling_is_killed_stays_open(any_site):
    any_site.settings["LOCO"] = {"LEASE": LEASE}
    filling = any_site.start("shell", "-c", KILLED)
    assert filling.wait(60) == -signal.SIGKILL
    worker = any_site.start("loco_worker", "--drain")
    assert worker.wait(60) == 0
    assert batches(any_site)["killed"][1:] == ("open", 5, 5, 0, 0)
    any_site.shell("from django_loco.tasks import Batch; [own] = Batch.all(); own.seal()")
    worker = any_site.start("loco_worker", "--drain")
    assert worker.wait(60) == 0
    assert len(notes(any_site, "followed")) == 1


@pytest.mark.extra("sqlite")
def test_a_worker_that_drains_runs_what_follows(any_site):
    any_site.shell(FILL)
    worker = any_site.start("loco_worker", "--drain")
    assert worker.wait(120) == 0
    assert set(statuses(any_site)) <= {"SUCCESSFUL", "FAILED"}
    assert set(notes(any_site, "followed").values()) == {2}
    assert len(notes(any_site, "followed")) == BATCHES
