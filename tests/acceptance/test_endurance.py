"""A worker has as many threads, open files and connections after many jobs of all kinds as after some.

``make endurance`` runs 300,000 jobs on each store, and prints what the worker had after each part of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.processes import Process

from .ticks_sites import STORES, Sites, TickSite

pytestmark = pytest.mark.storm

JOBS = int(os.environ.get("LOCO_ENDURANCE", "1200"))
#: The jobs are enqueued in so many parts. After the first third a worker has what it needs.
PARTS = max(6, JOBS // 10_000)
WARM_PARTS = PARTS // 3
WAIT_SECONDS = 60 + JOBS / PARTS / 20
#: More than this is growth. SQLite closes a file later if another connection to it is in use.
SLACK = 2
LIMITS = {"api": {"concurrency": 4}}
NUM_WORKERS = 10
#: A thread for jobs starts when it is needed, and then stays. These jobs need all of them at once.
ENQUEUE_FIRST = f"""
from django_loco.tasks import enqueue_many
from tests.app import tasks
enqueue_many(tasks.step, [(number, 0.5) for number in range({NUM_WORKERS})])
"""
#: Sync and async jobs, some of which wait, fail, fail at first, sleep between steps, are unique, or obey a limit.
ENQUEUE = """
from django_loco.tasks import enqueue_many
from tests.app import tasks
numbers = range({first}, {first} + {count})
enqueue_many(tasks.add, [(number, 1) for number in numbers if number % 10 < 4])
enqueue_many(tasks.aadd, [(number, 1) for number in numbers if number % 10 in (4, 5, 6)])
enqueue_many(tasks.fail, [(str(number),) for number in numbers if number % 10 == 7])
enqueue_many(tasks.sleep_a_moment, [(number,) for number in numbers if number % 40 == 8])
enqueue_many(tasks.asleep_a_moment, [(number,) for number in numbers if number % 40 == 18])
enqueue_many(tasks.echo.using(limits=["api"]), [(number,) for number in numbers if number % 20 == 9])
enqueue_many(tasks.sync_stock, [(str(number % 50),) for number in numbers if number % 20 == 19])
enqueue_many(tasks.fails_at_first, [(number,) for number in numbers if number % 40 in (28, 38)])
"""
#: Prints how many jobs have not ended.
LEFT = """
from django_loco.queues import queue_for
print(sum(count for (_, status), count in queue_for("default").counts().items() if status in ("READY", "RUNNING")))
"""


class Held(NamedTuple):
    """What a process has."""

    threads: int
    files: int
    sockets: int

    @classmethod
    def by(cls, pid: int) -> Held:
        """Look at a process from outside."""
        files = [target for each in Path(f"/proc/{pid}/fd").iterdir() if (target := target_of(each))]
        sockets = sum(target.startswith("socket:") for target in files)
        return cls(len(list(Path(f"/proc/{pid}/task").iterdir())), len(files), sockets)

    def __str__(self) -> str:
        return f"{self.threads} threads, {self.files} open files, {self.sockets} of them sockets"


def target_of(link: Path) -> str:
    """Return what an open file is; nothing if it was closed meanwhile."""
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


@pytest.fixture
def sites(tmp_path: Path, migrated_file: bytes) -> Iterator[Sites]:
    with Sites(tmp_path, migrated_file) as sites:
        yield sites


def run_jobs(site: TickSite, worker: Process, enqueue: str) -> None:
    """Enqueue jobs, and wait until all have ended."""
    site.shell(enqueue, timeout=WAIT_SECONDS)
    deadline = time.monotonic() + WAIT_SECONDS
    while left := int(site.shell(LEFT)):
        assert worker.is_running, worker.output
        assert time.monotonic() < deadline, f"{left} jobs have not ended"
        time.sleep(0.2)


@pytest.mark.timeout(2 * PARTS * WAIT_SECONDS)
@pytest.mark.parametrize("store", STORES)
def test_threads_files_and_connections_do_not_grow(sites, store):
    size, held = JOBS // PARTS, []
    with sites.make(store) as site:
        site.settings["LOCO"] = {"TESTING": "live", "NUM_WORKERS": NUM_WORKERS, "LIMITS": LIMITS}
        worker = site.start("loco_worker", "--verbosity", "0")
        run_jobs(site, worker, ENQUEUE_FIRST)
        for part in range(PARTS):
            run_jobs(site, worker, ENQUEUE.format(first=part * size, count=size))
            held.append(Held.by(worker.pid))
            if not (part + 1) % WARM_PARTS:
                print(f"{store}, after {(part + 1) * size:,} jobs: {held[-1]}")
        assert worker.terminate() == 0
    warm = Held(*map(max, zip(*held[:WARM_PARTS], strict=True)))
    for later in held[WARM_PARTS:]:
        assert all(now <= before + SLACK for now, before in zip(later, warm, strict=True)), held
