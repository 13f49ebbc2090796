"""Schedules that do not overlap, and those that run after them, with processes that are killed."""

from __future__ import annotations

import signal

from django_loco.shutdown import CLEAN

SCHEDULES = """
from django_loco import scheduler
from pages.tasks import work
scheduler.every(work, seconds=1, args=["slow"], name="slow", overlap="skip")
scheduler.after("slow", work, args=["next"], name="next")
"""


def test_a_chain_outlives_a_scheduler(project):
    project.write("pages/schedules.py", SCHEDULES)
    first, second = (project.start("loco_scheduler") for _ in range(2))
    worker = project.start("loco_worker")
    worker.wait_for("job slow begins")
    for process in (first, second):
        process.wait_for("Schedule 'slow': the tick of .* is skipped: an earlier job had not ended", count=2)
    first.signal(signal.SIGKILL)
    first.wait()
    assert sum("job slow begins" in line for line in worker.lines) == 1
    assert not any("job next" in line for line in worker.lines)
    project.open_gate("next")
    project.open_gate("slow")
    worker.wait_for("job next ends", count=2)
    assert second.terminate() == worker.terminate() == CLEAN
    begun = [line for line in worker.lines if "job slow begins" in line]
    followed = [line for line in worker.lines if "job next begins" in line]
    assert len(followed) <= len(begun)
    told = project.answer("loco_scheduler", "--history", "next")
    assert told.count("SUCCESSFUL") >= 2
