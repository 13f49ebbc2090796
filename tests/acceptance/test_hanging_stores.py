"""A store that hangs: connections stay, and nothing is answered any more."""

from __future__ import annotations

import time

import pytest

from django_loco.shutdown import AFTER_DEADLINE_SECONDS, CLEAN, FORCED
from tests.acceptance.network import Way
from tests.postgres import project_on_postgres
from tests.redis_server import RedisServer

#: Seconds: what a process may take beyond its time on a machine that does much else.
SLACK = 8.0
LEASE, SHUTDOWN_TIMEOUT = 3.0, 1.0


@pytest.fixture
def postgres_project(project):
    with project_on_postgres(project) as server:
        yield project, server


@pytest.fixture
def redis_project(redis_server, project):  # redis_server: as other tests of Redis
    with RedisServer() as server:
        project.settings["TASKS"] = server.setting()
        yield project, server


@pytest.mark.parametrize("store", ["postgres", "redis"])
def test_a_worker_ends_in_its_time_while_the_store_hangs_and_loses_nothing(request, store):
    project, server = request.getfixturevalue(f"{store}_project")
    project.settings["LOCO"] = {"SHUTDOWN_TIMEOUT": SHUTDOWN_TIMEOUT, "LEASE": LEASE}
    worker = start(project)
    enqueue(project, "one")
    worker.wait_for("job one begins")
    server.pause()
    project.open_gate("one")
    worker.wait_for("job one ends")  # and its outcome is on its way to nobody
    began = time.monotonic()
    assert worker.terminate() == FORCED
    assert time.monotonic() - began < SHUTDOWN_TIMEOUT + AFTER_DEADLINE_SECONDS + SLACK
    server.resume()
    enqueue(project, "two")
    project.open_gate("two")
    other = start(project)
    other.wait_for("job two ends")
    project.shell(UNTIL_ALL_ARE_DONE)
    assert other.terminate() == CLEAN


def test_a_worker_goes_on_by_itself_when_a_postgres_that_hung_is_back(postgres_project):
    project, server = postgres_project
    worker = start(project)
    for name in ("zero", "one"):
        project.open_gate(name)
    enqueue(project, "zero")
    worker.wait_for("job zero ends")
    server.pause()
    worker.wait_for("cannot fetch and finish jobs for now")
    server.resume()
    enqueue(project, "one")
    worker.wait_for("job one ends")
    assert worker.terminate() == CLEAN
    assert worker.output.count("job one begins") == 1


def test_a_scheduler_goes_on_by_itself_after_a_network_that_swallowed_all(postgres_project):
    project, server = postgres_project
    project.write("pages/schedules.py", SCHEDULES)
    project.open_gate("tick")
    with Way(server.port) as way:
        project.settings["DATABASES"]["default"]["PORT"] = str(way.port)
        process = project.start("loco_worker", "--scheduler")
        process.wait_for("job tick ends")
        way.cut()
        process.wait_for("takes no jobs, so the ticks of its schedules wait")
        way.mend()
        process.wait_for("takes jobs again")
        process.wait_for("job tick ends", count=process.output.count("job tick ends") + 2)
        assert process.terminate() == CLEAN


SCHEDULES = """
from django_loco import scheduler
from pages.tasks import work
scheduler.every(work, seconds=1, args=["tick"])
"""
UNTIL_ALL_ARE_DONE = """
import time
from django_loco.queues import queue_for
from django_loco.core.job import SUCCESSFUL
deadline = time.monotonic() + 20
while {status for _, status in queue_for("default").counts()} != {SUCCESSFUL}:
    assert time.monotonic() < deadline, queue_for("default").list()
    time.sleep(0.1)
"""


def start(project):
    process = project.start("loco_worker")
    process.wait_for(r"stop +Ctrl-C")
    return process


def enqueue(project, name: str) -> None:
    code = f"from pages.tasks import work\nwork.enqueue({name!r})"
    project.shell(code)
