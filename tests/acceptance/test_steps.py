"""A step that is stored is not called again: real workers, killed in the middle of jobs of many steps."""

from __future__ import annotations

import json
import random
import signal

import pytest

from .chaos import LEASE, SCALE, notes, statuses, wait_until
from .storm import SEED

pytestmark = pytest.mark.storm

JOBS, STEPS, KILLS = 12 * SCALE, 30, 2 * SCALE
ENQUEUE = f"""
from django_loco.tasks import enqueue_many
from tests.app import tasks
enqueue_many(tasks.in_steps, [(number, {STEPS}) for number in range({JOBS})])
"""

#: The jobs that wait get each of two signals in so many parts, and before each of them a worker is killed.
WAITING, PARTS = 30 * SCALE, min(2, SCALE)
ENQUEUE_WAITING = f"""
from django_loco.tasks import enqueue_many
from tests.app import tasks
print(*[result.id for result in enqueue_many(tasks.in_waits, range({WAITING}))])
"""
#: Sends signals to a part of the jobs, one of them twice; some jobs wait by then, and some do not yet.
SEND = """
from django_loco import jobs
for number, job_id in enumerate({ids}):
    assert jobs.signal(job_id, {name!r}, {name!r} + str(number))
    assert number % 3 or not jobs.signal(job_id, {name!r}, "twice")
"""
ANSWERS = """
from django_loco import jobs
import json
print(json.dumps([json.loads(jobs.get(job_id).return_value) for job_id in {ids}]))
"""

CALLS = 30 * SCALE
#: Calls one task again and again, while it runs and while it does not.
CALL = f"""
import time
from tests.app import tasks
for number in range({{first}}, {{first}} + {CALLS} // 3):
    tasks.rebuild.enqueue(number)
    time.sleep(number % 4 / 20)
"""


def test_each_step_is_called_once_and_once_more_at_most_for_a_kill(any_site, capsys):
    any_site.settings["LOCO"] = {"LEASE": LEASE, "NUM_WORKERS": 2}
    workers = [any_site.start("loco_worker") for _ in range(2)]
    for process in workers:
        process.wait_for("stop +Ctrl-C")
    any_site.shell(ENQUEUE, 20 + 5 * SCALE)
    for number in range(KILLS):
        called = JOBS * STEPS * (number + 0.5) / (KILLS + 1)
        wait_until(lambda called=called: len(notes(any_site, "called")) >= called, 90)
        workers.pop(0).signal(signal.SIGKILL)  # the one that has run for longest: another may have no job yet
        workers.append(any_site.start("loco_worker"))
    wait_until(lambda: statuses(any_site) == {"SUCCESSFUL": JOBS}, 90 * SCALE)
    for process in workers:
        process.wait_for("stop +Ctrl-C")  # until then a signal kills it
        assert process.terminate() == 0
    calls, starts = notes(any_site, "called"), notes(any_site, "start")
    assert len(calls) == JOBS * STEPS
    again = sum(number - 1 for number in calls.values())
    begun_again = starts.total() - JOBS
    with capsys.disabled():
        print(
            f"\n{JOBS} jobs of {STEPS} steps, {KILLS} kills: {begun_again} runs begun again, {again} steps called again"
        )
    assert again <= begun_again, "a run that was killed calls one step again, the one that was not stored"
    assert begun_again > 0


def test_no_signal_is_lost_and_no_sleep_is_forgotten(any_site, capsys):
    any_site.settings["LOCO"] = {"LEASE": LEASE, "NUM_WORKERS": 2}
    draw = random.Random(SEED)
    workers = [any_site.start("loco_worker") for _ in range(2)]
    ids = any_site.shell(ENQUEUE_WAITING, 20 + 5 * SCALE).split()
    for number, name in enumerate(["go", "end"]):
        for part in range(PARTS):
            wait_until(
                lambda number=number, part=part: called(any_site, number) >= WAITING * (part + 1) / PARTS / 2, 90
            )
            victim = workers.pop(draw.randrange(len(workers)))
            victim.signal(signal.SIGKILL)
            workers.append(any_site.start("loco_worker"))
            any_site.shell(SEND.format(ids=ids[part::PARTS], name=name), 20 + 5 * SCALE)
    wait_until(lambda: statuses(any_site) == {"SUCCESSFUL": WAITING}, 90 * SCALE)
    for process in workers:
        process.wait_for("stop +Ctrl-C")
        assert process.terminate() == 0
    answers = json.loads(any_site.shell(ANSWERS.format(ids=ids), 20 + 5 * SCALE))
    expected = [[f"go{number // PARTS}", "none", f"end{number // PARTS}"] for number in range(WAITING)]
    assert answers == expected
    calls = notes(any_site, "called")
    assert len(calls) == WAITING * 3
    again = sum(number - 1 for number in calls.values())
    with capsys.disabled():
        print(f"\n{WAITING} jobs that sleep and wait, {2 * PARTS} kills: no signal lost, {again} steps called again")
    assert again <= 2 * PARTS * 4, "a kill stops as many runs as a worker has threads"


def called(site, place):
    """Return how many jobs have come to a step."""
    return sum(each.endswith(f"-{place}") for each in notes(site, "called"))


@pytest.mark.extra("sqlite")
def test_the_last_call_of_a_job_that_runs_once_more_is_not_lost(any_site):
    any_site.settings["LOCO"] = {"LEASE": LEASE, "NUM_WORKERS": 2}
    draw = random.Random(SEED)
    workers = [any_site.start("loco_worker") for _ in range(2)]
    for part in range(3):
        any_site.shell(CALL.format(first=part * CALLS // 3), 20 + 5 * SCALE)
        if part < 2:
            victim = workers.pop(draw.randrange(len(workers)))
            victim.signal(signal.SIGKILL)
            workers.append(any_site.start("loco_worker"))
    wait_until(lambda: statuses(any_site).keys() == {"SUCCESSFUL"}, 90 * SCALE)
    for process in workers:
        process.wait_for("stop +Ctrl-C")
        assert process.terminate() == 0
    ended = [line for line in (any_site.folder / "notes").read_text().splitlines() if line.startswith("end")]
    assert ended[-1] == f"end {CALLS - 1}"
    assert len(ended) < CALLS, "calls that come while it runs share one job"
