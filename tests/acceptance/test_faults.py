"""What a site needs goes away while it serves: pages that do without are served, and all comes back by itself.

``LOCO_CHAOS`` makes the faults last longer (``make chaos``).
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import psycopg
import pytest

from django_loco.shutdown import CLEAN
from tests.acceptance.chaos import SCALE
from tests.acceptance.project import child_of, get
from tests.acceptance.servers import STARTED, ServedProject, said
from tests.postgres import Server
from tests.processes import Process
from tests.redis_server import ON_DISK, RedisServer

LONG = SCALE > 1
#: How long a fault lasts.
SECONDS = 10.0 if LONG else 4.0
#: Seconds in which a page that needs nothing is to be served, on a machine that does much else: sooner than the fault
#: is over.
AT_ONCE = 4.0
#: Seconds in which one that needs what is away is to be refused.
SOON = 15.0
AWAY, BACK = "cannot fetch and finish jobs for now", "can fetch and finish jobs again"
TICKS = """
from django_loco import scheduler
from pages.tasks import tick
scheduler.every(tick, seconds=1, name="ticking")
"""
TICK = """
@task
def tick():
    say("tick")
"""
GUNICORN, UVICORN = (
    pytest.mark.parametrize("serve", ["gunicorn", "uvicorn"] if LONG else [first]) for first in ("gunicorn", "uvicorn")
)


class Reader(threading.Thread):
    """Reads a page all the time."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._end = threading.Event()
        self.slowest = 0.0
        self.pages = 0
        self.errors: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self.join()

    def run(self) -> None:
        while not self._end.wait(0.05):
            began = time.monotonic()
            try:
                assert get(self._url, patience=0) == "version 1"
            except (OSError, AssertionError) as error:
                self.errors.append(repr(error))
            self.pages += 1
            self.slowest = max(self.slowest, time.monotonic() - began)


def start(served: ServedProject, serve: str) -> Process:
    served.write("pages/schedules.py", TICKS)
    served.write("pages/tasks.py", (served.folder / "pages/tasks.py").read_text() + TICK)
    if serve == "gunicorn":
        process = served.start_gunicorn("--threads", "4")
        process.wait_for(STARTED)
    else:
        process = served.serve("--http", "uvicorn", "--worker", "--scheduler", "--noreload")
    process.wait_for("^tick")
    return process


def suffer(served: ServedProject, process: Process, begin: Callable[[], object], end: Callable[[], object]) -> None:
    """Go through a fault that lasts for ``SECONDS``, with a job that runs and ends meanwhile, and one after it."""
    served.begin(process, "first")
    served.open_gate("refused")  # what a Redis that hangs was told it does when it is back
    with Reader(served.url()) as reader:
        begin()
        began = time.monotonic()
        served.open_gate("first")
        process.wait_for("job first ends")
        assert refused(served), "a page that needs what is away says so"
        process.wait_for(AWAY)
        time.sleep(max(0.0, SECONDS - (time.monotonic() - began)))
        end()
        process.wait_for(BACK)
    assert not reader.errors
    assert reader.pages > SECONDS
    assert reader.slowest < AT_ONCE
    ticks = len(said(process, "tick"))
    process.wait_for("^tick", count=ticks + 1)
    served.open_gate("second")
    served.enqueue("second")
    process.wait_for("job second ends")
    assert process.terminate() == CLEAN
    story = [f"job {name} {verb}" for name in ("first", "second") for verb in ("begins", "ends")]
    assert said(process, "job first", "job second") == story


def refused(served: ServedProject) -> bool:
    """Whether a page that enqueues a job answers with an error, soon."""
    began = time.monotonic()
    try:
        get(served.url("enqueue/refused"))
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 500 and time.monotonic() - began < SOON
    return False


@pytest.fixture
def on_redis(redis_server, served) -> Iterator[tuple[ServedProject, RedisServer]]:  # redis_server: as tests of Redis
    with RedisServer(*ON_DISK, "always") as server:
        served.settings["TASKS"] = server.setting()
        yield served, server


@GUNICORN
def test_without_redis(on_redis, serve):
    served, server = on_redis
    process = start(served, serve)
    suffer(served, process, server.kill, server.start)


@UVICORN
def test_with_a_redis_that_hangs(on_redis, serve):
    served, server = on_redis
    process = start(served, serve)
    suffer(served, process, server.pause, server.resume)


@pytest.fixture
def on_postgres(served) -> Iterator[tuple[ServedProject, Server]]:
    server = Server()
    server.start()
    try:
        server.create_database("site")
        served.settings["DATABASES"] = {
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "site",
                "USER": "loco",
                "HOST": "127.0.0.1",
                "PORT": str(server.port),
            }
        }
        served.migrate()
        yield served, server
    finally:
        server.close()


@UVICORN
def test_without_postgres(on_postgres, serve):
    served, server = on_postgres
    process = start(served, serve)
    suffer(served, process, server.stop, server.start)
    with server.connect("site") as connection:
        assert unfinished(connection) == []


def unfinished(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    """Return the jobs that have not succeeded, except a tick that became due while the worker stopped."""
    return connection.execute(
        "select task_path, status, lost from django_loco_job where status != 'SUCCESSFUL' "
        "and not (status = 'READY' and lost = 0 and task_path = 'pages.tasks.tick')"
    ).fetchall()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only who may mount has a small disk; the other test of SQLite needs none")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@GUNICORN
def test_with_a_full_disk_under_sqlite(served, small_disk, serve):
    database = small_disk / "db.sqlite3"
    shutil.move(served.folder / "db.sqlite3", database)
    served.settings["DATABASES"] = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(database)}}
    process = start(served, serve)
    filler = small_disk / "filler"
    suffer(served, process, lambda: fill(filler), filler.unlink)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:  # there is no space left, which is the purpose
            return


def test_with_an_sqlite_that_can_write_nothing(served):
    """The limit of a process is another way to have no room, and another error."""
    process = start(served, "gunicorn")
    worker = child_of(process)
    before = resource.prlimit(worker, resource.RLIMIT_FSIZE)
    suffer(
        served,
        process,
        lambda: resource.prlimit(worker, resource.RLIMIT_FSIZE, (0, before[1])),
        lambda: resource.prlimit(worker, resource.RLIMIT_FSIZE, before),
    )


RAISING = """
from django_loco.component import Loop
from pages.steps import say

class Raising(Loop):
    name = "raising"
    def turn(self):
        say("raising raises")
        raise OSError("no network")
"""


@UVICORN
def test_a_component_that_raises_over_and_over(served, serve):
    served.write("pages/raising.py", RAISING)
    served.settings["LOCO"] = {"COMPONENTS": ["pages.raising.Raising"]}
    if serve == "gunicorn":
        process = served.gunicorn("--threads", "4", LOCO_START="--all")
    else:
        process = served.serve("--http", "uvicorn", "--all", "--noreload")
    with Reader(served.url()) as reader:
        served.begin(process)
        process.wait_for("raising raises", count=4 if LONG else 2, timeout=30)
        served.open_gate("job")
        process.wait_for("job job ends")
    assert (reader.errors, reader.pages > 0) == ([], True)
    assert reader.slowest < AT_ONCE
    assert process.terminate() == CLEAN
    assert len(said(process, "raising raises")) < 10, "its pauses grow"
