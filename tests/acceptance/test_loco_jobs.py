"""``loco_jobs`` beside real workers: what a person on call does with a job."""

from __future__ import annotations

import time

import pytest

from django_loco.shutdown import CLEAN

from .project import Project

TASKS = """
import asyncio, time
from django_loco.tasks import task
from pages.steps import say

@task(takes_context=True, max_attempts=3)
def compute(context):
    say("begins to compute")
    try:
        while True: time.sleep(0.01)
    finally:
        say(f"computed, cancelled={context.cancelled}")

@task(takes_context=True, max_attempts=3)
async def sleep(context):
    say("begins to sleep")
    try:
        await asyncio.sleep(60)
    finally:
        say(f"slept, cancelled={context.cancelled}")
"""
#: A job is cancelled within two seconds. The rest is for a busy machine: without the check it would run for a minute.
WITHIN_SECONDS = 10.0


@pytest.mark.parametrize("store", ["database", "redis"])
def test_running_jobs_of_another_process_are_cancelled(project: Project, store: str, request: pytest.FixtureRequest):
    if store == "redis":
        server = request.getfixturevalue("redis_server")
        project.settings["TASKS"] = server.setting("cancelled")
    project.write("pages/work.py", TASKS)
    ids = project.shell("from pages.work import *\nprint('ids', compute.enqueue().id, sleep.enqueue().id)")
    computing, sleeping = ids.rpartition("ids ")[2].split()
    worker = project.start("loco_worker")
    worker.wait_for("begins to compute")
    worker.wait_for("begins to sleep")
    assert "runs it since" in project.manage("loco_jobs", "why", computing)

    assert project.manage("loco_jobs", "cancel", computing, sleeping, "--yes").endswith("Cancelled 2 jobs.")
    cancelled_at = time.monotonic()
    worker.wait_for("computed, cancelled=True")
    worker.wait_for("slept, cancelled=True")
    assert time.monotonic() - cancelled_at < WITHIN_SECONDS
    worker.wait_for(f"Job {computing} .* was cancelled")
    shown = project.manage("loco_jobs", "list", "status:cancelled")
    assert computing in shown
    assert sleeping in shown
    assert "cancelled by" in project.manage("loco_jobs", "why", computing)
    assert worker.terminate() == CLEAN
    assert "came too late" not in worker.output
    assert "Lost the claim" not in worker.output
