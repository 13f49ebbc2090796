"""No limit is exceeded: real workers, killed in the middle of their jobs."""

from __future__ import annotations

import json
import random
import signal
import time

import pytest

from .chaos import SCALE, notes, statuses, wait_until
from .storm import SEED

pytestmark = pytest.mark.storm

KEYS, JOBS, SLOTS = 4, 20 * SCALE, 2
#: Seconds. A worker that stands still for longer while others take its jobs would be no error of limits.
LEASE = 5
FILL = f"""
from django_loco.tasks import enqueue_many
from tests.app import tasks
limited = tasks.in_slot.using(limits=["slots"], limit_key="key")
enqueue_many(limited, [(number, str(number % {KEYS}), {SLOTS}) for number in range({KEYS * JOBS})])
"""
LIMITS = """
import json
from django_loco import jobs
print(json.dumps([(state.running, state.waiting) for state in jobs.limits()]))
"""


def test_no_limit_is_exceeded_under_kill_9(any_site, capsys):
    limits = {"slots": {"concurrency": SLOTS, "rate": "1000/s", "burst": 100}}
    any_site.settings["LOCO"] = {"LEASE": LEASE, "NUM_WORKERS": 6, "ASYNC_WORKERS": 1, "LIMITS": limits}
    draw, began = random.Random(SEED), time.monotonic()
    workers = [any_site.start("loco_worker") for _ in range(3)]
    any_site.shell(FILL, 20 + 5 * SCALE)
    kills = 2 * SCALE
    for number in range(1, kills + 1):
        due = KEYS * JOBS * 0.8 * number / kills
        wait_until(lambda due=due: len(notes(any_site, "end")) >= due, 90 * SCALE)
        victim = workers.pop(draw.randrange(len(workers)))
        victim.signal(signal.SIGKILL)
        workers.append(any_site.start("loco_worker"))
    wait_until(lambda: set(statuses(any_site)) == {"SUCCESSFUL"}, 60 + 10 * LEASE)
    states = json.loads(any_site.shell(LIMITS).splitlines()[-1])
    for process in workers:
        process.wait_for("stop +Ctrl-C")  # until then a signal kills it
        assert process.terminate() == 0
    with capsys.disabled():
        seconds = time.monotonic() - began
        print(
            f"\n{KEYS * JOBS} limited jobs, {kills} kills, {seconds:.0f} s, LOCO_CHAOS_SEED={SEED}: none was too many"
        )
    assert notes(any_site, "over") == {}
    assert len(notes(any_site, "end")) == KEYS * JOBS
    assert states == [[0, 0]]


TWO_RATES = """
from django_loco.tasks import enqueue_many
from tests.app import tasks
for name in ("soon", "late"):
    enqueue_many(tasks.step.using(limits=[name]), range(3))
"""


@pytest.mark.extra("sqlite")
def test_a_worker_that_drains_waits_for_limits_that_open_soon(any_site):
    any_site.settings["LOCO"] = {"LIMITS": {"soon": {"rate": "1/s"}, "late": {"rate": "1/h"}}}
    any_site.shell(TWO_RATES)
    worker = any_site.start("loco_worker", "--drain")
    assert worker.wait(60) == 0
    assert statuses(any_site) == {"SUCCESSFUL": 4, "READY": 2}
    assert "except for jobs that wait for limits which open in more than 60 s: 2 of late for 3" in worker.output
