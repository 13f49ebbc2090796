"""``loco_jobs dump``, ``import`` and ``move`` beside workers, killed and stopped at any moment: each job runs once.

``make chaos`` kills and stops more often.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from uuid import uuid4

import pytest

from tests.processes import Process, Site

from .chaos import SCALE, notes, wait_until

pytestmark = pytest.mark.storm

LOCO = "django_loco.backend.LocoBackend"
WAYS = [("default", "redis"), ("redis", "default")]
#: The ways and the steps that are tried; ``make chaos`` tries all.
TRIED = WAYS if SCALE > 1 else WAYS[:1]
STEPS = range(4) if SCALE > 1 else (2,)
JOBS = 100
SEED = int(os.environ.get("LOCO_CHAOS_SEED") or random.randrange(1_000_000))
#: Enqueues jobs that wait, that are due in a second, and that have once-keys and tags.
ENQUEUE = """
from datetime import timedelta
from django.utils import timezone
from django_loco.tasks import enqueue_many
from tests.app import tasks
numbers = range({first}, {first} + {count})
enqueue_many(tasks.step.using(backend="{alias}"), [(number, {seconds}) for number in numbers if number % 10])
for number in numbers[::10]:
    later = timezone.now() + timedelta(seconds=1)
    tasks.step.using(backend="{alias}", run_after=later, tags=["t"]).enqueue(number, {seconds})
"""
#: Sends itself a signal after a write with this number.
SIGNALLED = """
import os, signal, time
from itertools import count
from django.core.management import call_command
from django_loco import jobs
from django_loco.queues import queue_for
writes = count()
def watched(original):
    def write(items):
        answer = original(items)
        if next(writes) == {step}:
            os.kill(os.getpid(), signal.{signal})
        return answer
    return write
for alias in ("default", "redis"):
    for name in ("change", "restore"):
        setattr(queue_for(alias), name, watched(getattr(queue_for(alias), name)))
"""
#: Waits for jobs, and moves them.
MOVE = """
print("ready", flush=True)
while not jobs.filter("status:ready", backend="{source}").exists():
    time.sleep(0.01)
call_command("loco_jobs", "move", "--from", "{source}", "--to", "{target}", "--all", "--yes")
"""


@pytest.fixture
def site(site: Site, request: pytest.FixtureRequest) -> Site:
    """A site with jobs in its database and in Redis. (The fixture is not named above: it runs on PostgreSQL, too.)"""
    redis = request.getfixturevalue("redis_server").setting(uuid4().hex)["default"]
    database = {"BACKEND": LOCO, "QUEUES": ["default", "emails"], "OPTIONS": {"queue": "database"}}
    site.settings["TASKS"] = {"default": database, "redis": redis}
    site.settings["LOCO"] = {"TESTING": "live", "NUM_WORKERS": 2}
    return site


def enqueue(site: Site, alias: str, first: int, count: int = JOBS, seconds: float = 0.02) -> None:
    site.shell(ENQUEUE.format(alias=alias, first=first, count=count, seconds=seconds))


def move(site: Site, source: str, target: str) -> str:
    return site.manage("loco_jobs", "move", "--from", source, "--to", target, "--all", "--yes")


def start_move(site: Site, source: str, target: str, step: int, name: str) -> Process:
    code = (SIGNALLED + MOVE).format(source=source, target=target, step=step, signal=name)
    return site.start("shell", "--verbosity", "0", "--command", code)


def waiting(site: Site) -> int:
    """Return how many jobs wait in both stores, parked ones, too."""
    stats = site.manage("loco_jobs", "stats", "--format", "json")
    return sum(queue["ready"] for queue in json.loads(stats))


def all_ran_once(site: Site, count: int) -> None:
    wait_until(lambda: len(notes(site, "end")) >= count)
    for word in ("start", "end"):
        assert set(notes(site, word).values()) == {1}, f"seed {SEED}"
        assert len(notes(site, word)) == count, f"seed {SEED}"
    assert waiting(site) == 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("source", "target"), TRIED)
def test_a_move_may_be_killed_at_any_step(site, source, target):
    worker = site.start("loco_worker")
    site.manage("loco_jobs", "pause", "default", "--backend", source)  # so that there is something to move
    for step in STEPS:
        enqueue(site, source, step * JOBS)
        assert start_move(site, source, target, step, "SIGKILL").wait() == -signal.SIGKILL
        move(site, source, target)
    all_ran_once(site, len(STEPS) * JOBS)
    assert worker.terminate() == 0


@pytest.mark.skipif(SCALE == 1, reason="runs in make chaos")
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("source", "target"), TRIED)
def test_a_move_may_be_stopped_at_any_step_while_another_one_runs(site, source, target):
    worker = site.start("loco_worker")
    site.manage("loco_jobs", "pause", "default", "--backend", source)  # so that there is something to move
    for step in STEPS:
        enqueue(site, source, step * JOBS)
        stopped = start_move(site, source, target, step, "SIGSTOP")
        wait_until(lambda stopped=stopped: is_stopped(stopped.pid))
        move(site, source, target)
        stopped.signal(signal.SIGCONT)
        assert stopped.wait() == 0
        move(site, source, target)
    all_ran_once(site, len(STEPS) * JOBS)
    assert worker.terminate() == 0


def is_stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - not a file of ours
        return file.read().rpartition(") ")[2][0] == "T"


@pytest.mark.timeout(180)
def test_moves_to_and_fro_are_killed_while_workers_run(site):
    """Which jobs are moved and which are run, chance decides; kills hit any moment, also between two steps."""
    draw = random.Random(SEED)
    workers = [site.start("loco_worker") for _ in range(2)]
    rounds, ends = 2 if SCALE == 1 else SCALE, []
    for number in range(rounds):
        source, target = WAYS[number % 2]
        mover = start_move(site, source, target, draw.randrange(4), "SIGKILL")
        mover.wait_for("ready")  # it starts more slowly than workers work
        enqueue(site, source, number * JOBS, seconds=0.15)
        enqueue(site, target, (rounds + number) * JOBS)
        ends.append(mover.wait())
    assert -signal.SIGKILL in ends, f"seed {SEED}: nothing was left to be moved"
    for source, target in WAYS:
        move(site, source, target)
    all_ran_once(site, 2 * rounds * JOBS)
    for worker in workers:
        assert worker.terminate() == 0


@pytest.mark.own_database
def test_the_workers_of_the_target_are_woken(site):
    worker = site.start("loco_worker", "--backend", "redis")
    worker.wait_for("stop +Ctrl-C")
    enqueue(site, "default", 0, count=10)
    assert "Moved 10 jobs." in move(site, "default", "redis")
    wait_until(lambda: len(notes(site, "end")) == 10)
    assert worker.terminate() == 0


@pytest.mark.own_database
def test_a_dump_goes_through_a_pipe_into_another_store(site):
    enqueue(site, "default", 0)
    script = (
        f"{sys.executable} -m django loco_jobs dump --backend default | "
        f"{sys.executable} -m django loco_jobs import - --backend redis --yes"
    )
    done = subprocess.run(script, shell=True, env=site.environment, capture_output=True, text=True, check=True)  # noqa: S602
    assert done.stdout == f"Imported {JOBS} jobs.\n"
    assert done.stderr == ""
    site.manage("loco_worker", "--backend", "redis", "--drain")
    wait_until(lambda: len(notes(site, "end")) >= JOBS - JOBS // 10)
    assert set(notes(site, "end").values()) == {1}


@pytest.mark.own_database
def test_a_reader_that_goes_away_ends_a_dump_without_a_traceback(site):
    enqueue(site, "default", 0, count=3_000)
    script = f"{sys.executable} -m django loco_jobs dump | head -1; echo ${{PIPESTATUS[0]}}"
    command = ["bash", "-c", script]
    done = subprocess.run(command, env=site.environment, capture_output=True, text=True, check=True)
    header, code = done.stdout.splitlines()
    assert json.loads(header)["backends"] == ["default", "redis"]
    assert (code, done.stderr) == ("141", "")


def test_an_import_that_is_killed_is_finished_by_the_next_one(site, tmp_path):
    path = str(tmp_path / "jobs.jsonl")
    enqueue(site, "default", 0, count=2_500)
    assert site.manage("loco_jobs", "dump", "--output", path).endswith(f"Dumped 2,500 jobs to {path}.")
    code = SIGNALLED.format(step=1, signal="SIGKILL")
    code += f'call_command("loco_jobs", "import", {path!r}, "--backend", "redis", "--yes")\n'
    assert site.start("shell", "--verbosity", "0", "--command", code).wait() == -signal.SIGKILL
    said = site.manage("loco_jobs", "import", path, "--backend", "redis", "--yes")
    assert "Imported 500 jobs." in said
    assert "Left alone: 2,000 jobs with a known id, once-key or unique key." in said
