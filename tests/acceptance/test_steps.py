"""A step that is stored is not called again: real workers, killed in the middle of jobs of many steps."""

from __future__ import annotations

import random
import signal

from .chaos import LEASE, SCALE, notes, statuses, wait_until
from .storm import SEED

JOBS, STEPS, KILLS = 12 * SCALE, 30, 2 * SCALE
ENQUEUE = f"""
from django_loco.tasks import enqueue_many
from tests.app import tasks
enqueue_many(tasks.in_steps, [(number, {STEPS}) for number in range({JOBS})])
"""


def test_each_step_is_called_once_and_once_more_at_most_for_a_kill(any_site, capsys):
    any_site.settings["LOCO"] = {"LEASE": LEASE, "NUM_WORKERS": 2}
    draw = random.Random(SEED)
    workers = [any_site.start("loco_worker") for _ in range(2)]
    any_site.shell(ENQUEUE)
    for number in range(KILLS):
        called = JOBS * STEPS * (number + 0.5) / (KILLS + 1)
        wait_until(lambda called=called: len(notes(any_site, "called")) >= called, 90)
        victim = workers.pop(draw.randrange(len(workers)))
        victim.signal(signal.SIGKILL)
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
