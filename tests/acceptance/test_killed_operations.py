"""``kill -9`` in the middle of mass operations: each job is as it was or as it should be, and a second run ends it.

``make chaos`` does it with every operation.
"""

from __future__ import annotations

import signal
from collections import Counter

import pytest

from tests.processes import Site

from .chaos import SCALE, notes, redis_queue

pytestmark = pytest.mark.storm

JOBS = 1_500 * SCALE
#: How often a command is killed, each time after one more batch of 1,000 jobs.
KILLS = 1 if SCALE == 1 else 5
ENQUEUE = """
from django_loco.tasks import enqueue_many
from tests.app import tasks
enqueue_many(tasks.step, [(number, 0) for number in range({})])
"""
#: Runs a command whose process is killed when its first batch is stored.
KILLED = """
import os, signal
from django.core.management import call_command
from django_loco.queues import queue_for
queue = queue_for("default")
change = queue.change
def change_and_die(changes):
    change(changes)
    os.kill(os.getpid(), signal.SIGKILL)
queue.change = change_and_die
call_command("loco_jobs", *{command}, "--yes")
"""
CANCEL = "from django_loco import jobs; print(jobs.filter('task:tests.app.tasks.step').cancel())"


def states(site: Site) -> Counter[tuple[str, str, int]]:
    """Count the stored jobs by status, queue and priority."""
    if queue := redis_queue(site):
        return Counter((job.status.value, job.queue_name, job.priority) for job in queue.list(limit=JOBS + 1))
    return Counter(site.query("select status, queue_name, priority from django_loco_job"))


def kill_in_the_middle(site: Site, *command: str) -> None:
    """Run ``command``, which is killed after its first batch, ``KILLS`` times, and then to its end."""
    for _ in range(KILLS):
        before = states(site)
        process = site.start("shell", "--verbosity", "0", "--command", KILLED.format(command=command))
        assert process.wait(60) == -signal.SIGKILL, process.output
        assert states(site) != before
        assert set(states(site)) <= {*before, AFTER[command[0]]}
    site.manage("loco_jobs", *command, "--yes", timeout=60)


READY, FAILED = ("READY", "default", 0), ("FAILED", "default", 0)
AFTER = {
    "retry": READY,
    "cancel": FAILED,
    "discard": FAILED,
    "move": ("READY", "emails", 0),
    "update": ("READY", "default", 7),
    "delete": READY,
}


OPERATIONS = {
    "retry": (("retry", "status:cancelled"), JOBS),
    "cancel": (("cancel", "status:waiting"), 0),
    "discard": (("discard", "status:waiting"), 0),
    "move": (("move", "queue:default", "--queue", "emails"), JOBS),
    "update": (("update", "priority:0", "--priority", "7"), JOBS),
    "delete": (("delete", "status:waiting"), 0),
}


@pytest.mark.parametrize("name", [*OPERATIONS][: 1 if SCALE == 1 else None])
def test_a_killed_operation_is_finished_by_the_next_run(any_site: Site, name: str):
    command, ended = OPERATIONS[name]
    any_site.shell(ENQUEUE.format(JOBS), timeout=60)
    if name == "retry":
        any_site.shell(CANCEL, timeout=60)
    kill_in_the_middle(any_site, *command)
    assert states(any_site) == ({} if name == "delete" else {AFTER[name]: JOBS})

    worker = any_site.start("loco_worker", "--drain")
    assert worker.wait(60) == 0
    assert len(notes(any_site, "end")) == ended
    assert set(notes(any_site, "start").values()) <= {1}
