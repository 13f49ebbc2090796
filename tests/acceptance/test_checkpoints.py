"""A job that takes longer than any worker lives."""

from __future__ import annotations

import re
import signal

from django_loco.shutdown import CLEAN

LONG_TASKS = """
import time
from django_loco.exceptions import Interrupted
from django_loco.tasks import task
from pages.steps import FOLDER, say

@task(takes_context=True)
def long(context):
    done = context.checkpoint_value or 0
    say(f"begins with {done}")
    for number in range(done, 4):
        say(f"step {number}")
        while not context.stopping and not (FOLDER / f"gate {number}").exists():
            time.sleep(0.02)
        context.checkpoint(number + 1)
        say(f"saved {number}")
        if context.stopping:
            raise Interrupted
    say("has come to its end")
"""


def test_a_long_job_makes_progress_through_stops_and_kills(project):
    project.settings["LOCO"] = {"LEASE": 2, "SHUTDOWN_TIMEOUT": 20}
    project.write("pages/long.py", LONG_TASKS)
    project.shell("from pages.long import long\nlong.enqueue()")
    output = []

    first = project.start("loco_worker")
    project.open_gate("gate 0")
    first.wait_for("step 1")
    first.signal(signal.SIGTERM)
    assert first.wait() == CLEAN
    output.append(first.output)

    second = project.start("loco_worker")
    project.open_gate("gate 2")
    second.wait_for("saved 2")
    second.wait_for("step 3")
    second.signal(signal.SIGKILL)
    second.wait()
    output.append(second.output)

    third = project.start("loco_worker")
    project.open_gate("gate 3")
    third.wait_for("has come to its end")
    assert third.terminate() == CLEAN
    output.append(third.output)

    begun = re.findall(r"begins with (\d)", "\n".join(output))
    steps = re.findall(r"saved (\d)", "\n".join(output))
    assert (begun, steps) == (["0", "2", "3"], ["0", "1", "2", "3"])
    asked = "from pages.long import long\nfrom django_loco.queues import queue_for\n"
    asked += (
        "[job] = queue_for('default').list()\nprint('attempts', len(job.worker_ids), 'lost', job.lost, job.checkpoint)"
    )
    assert "attempts 1 lost 1 None" in project.shell(asked)
