"""``loco_doctor`` beside real workers, and while a store is down or hangs: it says which, and ends in time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from django_loco.shutdown import CLEAN
from tests.postgres import Server, project_on_postgres
from tests.redis_server import RedisServer

from .project import Project

#: Seconds: the start of a process on a machine that does much else, and some time-outs of a second.
WITHIN_SECONDS = 30.0


@pytest.fixture
def postgres_project(project: Project) -> Iterator[tuple[Project, Server]]:
    """A project with its jobs in a PostgreSQL of its own."""
    with project_on_postgres(project, PASSWORD="s3cret") as server:
        yield project, server


def doctor(project: Project, *words: str, code: int) -> str:
    began = time.monotonic()
    text = re.sub(r"\s+", " ", project.answer("loco_doctor", *words, code=code))
    assert time.monotonic() - began < WITHIN_SECONDS
    assert "Traceback" not in text
    assert "s3cret" not in text
    return text


def test_a_project_with_a_worker_and_a_scheduler_is_healthy(project: Project):
    worker = project.start("loco_worker", "--scheduler")
    worker.wait_for("ready|Started|worker")
    project.shell(
        "import time\nfrom django_loco import jobs\n"
        "while not any(worker.is_alive for worker in jobs.workers()): time.sleep(0.05)"
    )
    assert doctor(project, "--fail-level", "WARNING", code=0).endswith("Nothing is wrong.")
    assert worker.terminate() == CLEAN
    assert "workers.none" in doctor(project, "--fail-level", "WARNING", code=1)


def test_postgres_that_hangs_and_that_is_down(postgres_project: tuple[Project, Server]):
    project, server = postgres_project
    assert f"PostgreSQL, site at 127.0.0.1:{server.port}" in doctor(project, code=0)
    server.pause()
    text = doctor(project, "--timeout", "1", code=2)
    assert f"cannot be reached in PostgreSQL, site at 127.0.0.1:{server.port}: " in text
    server.stop()
    text = doctor(project, "--production", code=2)
    assert "refused" in text.lower()
    assert "(store.unreachable)" in text
    assert "(schedules.reachable)" in text
    assert "Start or repair it, or correct DATABASES['default']." in text


def test_jobs_in_redis_are_looked_at_while_postgres_is_down(
    postgres_project: tuple[Project, Server], redis_server: RedisServer
):
    project, server = postgres_project
    project.settings["TASKS"] = redis_server.setting(uuid4().hex)
    server.stop()
    text = doctor(project, code=2)
    assert f"Redis at 127.0.0.1:{redis_server.port}/0" in text
    assert "workers.none" in text
    assert "(store.unreachable)" not in text
    assert "(schedules.reachable)" in text


def test_redis_that_is_down(project: Project):
    with RedisServer() as server:
        project.settings["TASKS"] = server.setting()
        doctor(project, code=0)
        server.kill()
        text = doctor(project, code=2)
    assert f"cannot be reached in Redis at 127.0.0.1:{server.port}/0: " in text
    assert "The schedules can be read." in text
