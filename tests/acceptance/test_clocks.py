"""The wall clock leaps under workers and schedulers: nobody's job is taken away, none waits, no tick comes twice."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.conftest import ON_POSTGRES
from tests.faketime import WallClock
from tests.processes import Site

pytestmark = [
    pytest.mark.storm,
    pytest.mark.skipif(ON_POSTGRES, reason="PostgreSQL judges by its own clock; see integration/queues"),
]

ENQUEUE = "from tests.app.tasks import stay; stay.enqueue({}, {})"
JOBS = """
from django_loco.queues import queue_for
print([(job.status.name, job.lost) for job in queue_for("default").list() if job.task_path.endswith("stay")])
"""
TICKS = "SELECT {key} FROM django_loco_job WHERE {key} IS NOT NULL".format(key='"key"')


@pytest.fixture
def clock(site: Site) -> WallClock:
    clock = WallClock(site.folder)
    site.settings |= {
        "LOCO": {
            "LEASE": 3,
            "NUM_WORKERS": 2,
            "SCHEDULE": {"second": {"run": "tests.app.tasks.tick", "schedule": "every second"}},
        }
    }
    return clock


def notes(site: Site) -> list[str]:
    path = site.folder / "notes"
    return path.read_text().splitlines() if path.exists() else []


def wait_for_note(site: Site, start: str, count: int = 1, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while sum(line.startswith(start) for line in notes(site)) < count:
        assert time.monotonic() < deadline, (start, notes(site))
        time.sleep(0.05)


def test_the_clock_leaps_forward_and_back_under_two_workers_and_schedulers(site: Site, clock: WallClock) -> None:
    workers = [site.start("loco_worker", "--scheduler", **clock.environment) for _ in range(2)]
    for worker in workers:
        worker.wait_for(r"stop +Ctrl-C")
    for worker in workers:  # a worker whose first look at the clock comes after the leap cannot know of it
        worker.wait_for(r"tick#\w+/1 done", count=2)
    site.shell(ENQUEUE.format(1, 6))
    wait_for_note(site, "start 1")
    before = len(notes(site))

    clock.set("+1h")
    for worker in workers:
        worker.wait_for(r"The queue's clock was set: it differs by \+3[56]\d\d")
    wait_for_note(site, "tick", before + 3)
    wait_for_note(site, "end 1")
    forward = Counter(line for line in notes(site) if line.startswith("tick"))
    assert sum(forward.values()) < before + 20, "every tick of that hour was made up for"

    clock.set("+0")
    for worker in workers:
        worker.wait_for(r"The queue's clock was set: it differs by -3[56]\d\d")
        worker.wait_for(r"The clock was put back")
    wait_for_note(site, "tick", forward.total() + 3)
    assert site.shell(JOBS) == "[('SUCCESSFUL', 0)]"
    assert sum(line == "start 1" for line in notes(site)) == 1
    keys = [key for (key,) in site.query(TICKS)]
    assert len(keys) == len(set(keys))


def test_a_job_of_a_process_whose_clock_was_ahead_does_not_wait(site: Site, clock: WallClock) -> None:
    del site.settings["LOCO"]["SCHEDULE"]
    site.start("loco_worker").wait_for(r"stop +Ctrl-C")
    clock.set("+1h")
    ahead = site.start("shell", "--verbosity", "0", "--command", ENQUEUE.format(1, 0), **clock.environment)
    assert ahead.wait() == 0
    wait_for_note(site, "end 1", seconds=10)
