"""``kill -9`` in the middle of mass operations: each job is as it was or as it should be, and a second run ends it.

``make chaos`` does it with every operation.
"""

from __future__ import annotations

import signal
import time
from collections import Counter

import pytest

from tests.processes import Site

from .chaos import SCALE, notes, redis_queue

JOBS = 3_000 * SCALE
#: A command is killed at most so often.
KILLS = 1 if SCALE == 1 else 5
ENQUEUE = """
from django_loco.tasks import enqueue_many
from tests.app import tasks
enqueue_many(tasks.step, [(number, 0) for number in range({})])
"""
CANCEL = "from django_loco import jobs; print(jobs.filter('task:tests.app.tasks.step').cancel())"


def states(site: Site) -> Counter[tuple[str, str, int]]:
    """Count the stored jobs by status, queue and priority."""
    if queue := redis_queue(site):
        return Counter((job.status.value, job.queue_name, job.priority) for job in queue.list(limit=JOBS + 1))
    return Counter(site.query("select status, queue_name, priority from django_loco_job"))


def kill_in_the_middle(site: Site, *command: str) -> int:
    """Run ``command`` again and again until it is not killed; return how often it was, after it had changed jobs."""
    kills = 0
    while True:
        before = states(site)
        process = site.start("loco_jobs", *command, "--yes")
        while kills < KILLS and process.is_running and states(site) == before:
            time.sleep(0.01)
        if kills < KILLS and process.is_running:
            process.signal(signal.SIGKILL)
        code = process.wait(60)
        if code == 0:
            return kills
        assert code == -signal.SIGKILL, process.output
        kills += 1
        assert set(states(site)) <= {*before, AFTER[command[0]]}


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
    "update": (("update", "queue:default", "--priority", "7"), JOBS),
    "delete": (("delete", "status:waiting"), 0),
}


@pytest.mark.parametrize("name", [*OPERATIONS][: 1 if SCALE == 1 else None])
def test_a_killed_operation_is_finished_by_the_next_run(any_site: Site, name: str):
    command, ended = OPERATIONS[name]
    any_site.shell(ENQUEUE.format(JOBS), timeout=60)
    if name == "retry":
        any_site.shell(CANCEL, timeout=60)
    assert kill_in_the_middle(any_site, *command) > 0
    assert states(any_site) == ({} if name == "delete" else {AFTER[name]: JOBS})

    worker = any_site.start("loco_worker", "--drain")
    assert worker.wait(60) == 0
    assert len(notes(any_site, "end")) == ended
    assert set(notes(any_site, "start").values()) <= {1}
