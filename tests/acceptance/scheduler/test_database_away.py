"""Jobs in Redis, schedules in a PostgreSQL that stops answering: ticks go on, and changes are seen when it is back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from django_loco.shutdown import CLEAN
from tests.postgres import Server
from tests.processes import close_all
from tests.redis_server import RedisServer

from ..project import Project

SCHEDULES = """
from django_loco import scheduler
from pages.tasks import work
scheduler.expose(work)
scheduler.every(work, seconds=1, args=["code"], name="code")
"""
STORE = """
from django_loco.models import Schedule
fields = {{"run": "pages.tasks.work", "schedule": "every second", "args": ["{}"]}}
Schedule.objects.update_or_create(name="stored", defaults=fields)
"""
#: Seconds without an answer.
HANGING = 5.0


@pytest.fixture
def away(project: Project, postgres: Server, redis_server: RedisServer) -> Iterator[Project]:
    """A project with its jobs in Redis and the rest in PostgreSQL."""
    name = f"away_{uuid4().hex}"
    postgres.create_database(name)
    server = {"HOST": "127.0.0.1", "PORT": str(postgres.port), "USER": "loco"}
    project.settings |= {
        "DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": name, **server}},
        "TASKS": redis_server.setting(uuid4().hex),
    }
    project.write("pages/schedules.py", SCHEDULES)
    for gate in ("code", "first", "second"):
        project.open_gate(gate)
    project.migrate()
    yield project
    postgres.resume()
    close_all(project.processes)
    postgres.drop_database(name)


def store(project: Project, argument: str) -> None:
    project.shell(STORE.format(argument))


def test_ticks_go_on_while_the_database_that_has_schedules_hangs(away: Project, postgres: Server) -> None:
    store(away, "first")
    process = away.start("loco_worker", "--scheduler")
    process.wait_for("job code begins")
    process.wait_for("job first begins")

    postgres.pause()
    begins = {name: sum(f"job {name} begins" in line for line in process.lines) for name in ("code", "first")}
    began = time.monotonic()
    for name, count in begins.items():
        process.wait_for(f"job {name} begins", count=count + int(HANGING))
    held_up = time.monotonic() - began - HANGING
    ended = time.monotonic()
    assert process.terminate() == CLEAN
    ended = time.monotonic() - ended

    began = time.monotonic()
    another = away.start("loco_worker", "--scheduler")
    another.wait_for("job code begins")
    started = time.monotonic() - began
    assert not [line for line in another.lines if "job first" in line]
    postgres.resume()
    store(away, "second")
    another.wait_for("job second begins")
    assert another.terminate() == CLEAN
    print(f"held up by {held_up:.1f} s, ended in {ended:.1f} s, the next one fired {started:.1f} s after its start")
    assert held_up < 15
