"""Retention under kill -9: what a task keeps is kept, and nothing else, whenever workers die."""

from __future__ import annotations

import signal
from collections import Counter

import pytest

from .chaos import SCALE, notes, redis_queue, statuses, wait_until

pytestmark = pytest.mark.storm

JOBS, KILLS = 30 * SCALE, 2 * SCALE
ENQUEUE = """
from django_loco.tasks import enqueue_many
from tests.app import tasks
for task in tasks.shaky, tasks.ashaky:
    enqueue_many(task, [(number, number % 10 == 0) for number in range({jobs})])
"""
#: What a worker's pruner does a minute after the last job has ended.
PRUNE = """
from django_loco.queues import queue_for
print(queue_for("default").prune(-60, 100_000))
"""


def test_kill_9_neither_deletes_what_is_kept_nor_keeps_anything_else(any_site):
    any_site.settings["LOCO"] = {
        "LEASE": 1,
        "NUM_WORKERS": 3,
        "TASKS": {"tests.app.tasks.shaky": {"retention": {"succeeded": "forever"}}},
    }
    any_site.shell(ENQUEUE.format(jobs=JOBS))
    workers = [any_site.start("loco_worker") for _ in range(2)]
    for kill in range(KILLS):
        enough = (kill + 1) * JOBS // KILLS
        wait_until(lambda enough=enough: notes(any_site, "start").total() >= enough)
        victim = workers.pop(kill % 2)
        victim.signal(signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL
        workers.append(any_site.start("loco_worker"))
    wait_until(lambda: not {"READY", "RUNNING"} & set(statuses(any_site)))
    for worker in workers:
        worker.wait_for("stop +Ctrl-C")  # until then a signal kills it
    assert {worker.terminate() for worker in workers} == {0}
    ended = tasks_of(any_site)
    kept = {how: number for how, number in ended.items() if how == ("tests.app.tasks.shaky", "SUCCESSFUL")}
    assert kept
    assert int(any_site.shell(PRUNE).split()[-1]) == ended.total() - sum(kept.values())
    assert tasks_of(any_site) == kept


def tasks_of(site):
    """Count the jobs by their tasks and statuses."""
    if queue := redis_queue(site):
        return Counter((job.task_path, job.status.value) for job in queue.list(limit=100_000))
    return Counter(site.query("select task_path, status from django_loco_job"))
