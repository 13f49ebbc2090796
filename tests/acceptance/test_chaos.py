"""Nothing is lost: real workers, killed and stopped in the middle of their jobs.

``LOCO_CHAOS`` makes the runs longer (``make chaos``): it multiplies the number of jobs and the seconds.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from datetime import datetime

import pytest

SCALE = int(os.environ.get("LOCO_CHAOS", "1"))
JOBS = 500 * SCALE
LEASE = 3
ENQUEUE = "from django_loco.tasks import enqueue_many; from tests.app import tasks; enqueue_many(tasks.{}, range({}))"


def notes(site, word):
    """Count the numbers that jobs noted after ``word``."""
    path = site.folder / "notes"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(line.split()[1] for line in lines if line.startswith(f"{word} "))


def wait_until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def enqueue(site, task="step", count=JOBS):
    site.shell(ENQUEUE.format(task, count))


def statuses(site):
    return dict(site.query("select status, count(*) from django_loco_job group by status"))


@pytest.mark.parametrize("task", ["step", "astep"])
def test_kill_9_loses_no_job(site, task, capsys):
    site.settings["LOCO"] = {"LEASE": LEASE, "ASYNC_WORKERS": 10}
    enqueue(site, task)
    first = site.start("loco_worker")
    wait_until(lambda: len(notes(site, "end")) > JOBS // 5)
    first.signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert len(notes(site, "end")) < JOBS, "it was too late to kill it"
    killed_at = time.monotonic()

    second = site.start("loco_worker")
    wait_until(lambda: statuses(site) == {"SUCCESSFUL": JOBS})
    seconds = time.monotonic() - killed_at
    assert second.terminate() == 0

    ends, starts = notes(site, "end"), notes(site, "start")
    assert len(ends) == JOBS
    twice = sum(1 for count in ends.values() if count > 1)
    with capsys.disabled():
        print(
            f"\n{task}: {JOBS} jobs, kill -9: 0 lost, {twice} ran to the end twice, "
            f"{sum(starts.values()) - JOBS} started again, all done {seconds:.1f} s later (lease {LEASE} s)"
        )


@pytest.mark.parametrize("task", ["step", "astep"])
def test_sigterm_loses_no_job_and_runs_none_twice(site, task):
    enqueue(site, task)
    first = site.start("loco_worker")
    wait_until(lambda: len(notes(site, "end")) > JOBS // 5)
    assert first.terminate() == 0
    assert len(notes(site, "end")) < JOBS, "it was too late to stop it"
    assert notes(site, "start") == notes(site, "end")
    assert set(statuses(site)) == {"READY", "SUCCESSFUL"}, "what was not done is ready for the next worker"

    second = site.start("loco_worker", "--drain")
    assert second.wait(60) == 0
    assert statuses(site) == {"SUCCESSFUL": JOBS}
    assert set(notes(site, "end").values()) == {1}
    assert set(notes(site, "start").values()) == {1}


def test_a_job_that_kills_its_worker_fails_as_lost_the_third_time(site):
    site.settings["LOCO"] = {"LEASE": 1}
    enqueue(site, "poison", 1)
    for deaths in range(1, 4):
        worker = site.start("loco_worker")
        assert worker.wait(30) == -signal.SIGKILL
        assert notes(site, "start")["0"] == deaths
    survivor = site.start("loco_worker")
    wait_until(lambda: statuses(site) == {"FAILED": 1})
    assert survivor.terminate() == 0
    assert "LostJob" in site.query("select errors from django_loco_job")[0][0]


def test_four_workers_and_a_busy_site_share_a_queue(site):
    for _ in range(4):
        site.start("loco_worker")
    for _ in range(5):
        enqueue(site, count=JOBS // 5)
    wait_until(lambda: statuses(site) == {"SUCCESSFUL": JOBS // 5 * 5})
    assert set(notes(site, "end").values()) == {5}
    for process in [process for process in site.processes if process.is_running]:
        assert process.terminate() == 0
        assert "locked" not in process.output


def test_two_schedulers_fire_each_tick_once(site, capsys):
    seconds = 10 * SCALE
    schedulers = [site.start("loco_scheduler", LOCO_TEST_TICKS="1") for _ in range(2)]
    worker = site.start("loco_worker", "--scheduler", LOCO_TEST_TICKS="1")
    wait_until(lambda: len(ticks(site)) >= seconds, seconds + 30)
    for process in [*schedulers, worker]:
        assert process.terminate() == 0
    fired = ticks(site)
    expected = [str(at) for at in range(int(fired[0]), int(fired[-1]) + 1)]
    assert fired == expected, "a tick is missing or double"
    with capsys.disabled():
        print(f"\n3 schedulers, {seconds} s: {len(fired)} ticks, 0 missed, 0 double")


def ticks(site):
    """The seconds since 1970 of the ticks that became jobs, in order."""
    rows = site.query("select key from django_loco_job where key like 'tick@%' order by key")
    return [str(round(datetime.fromisoformat(key.partition("@")[2]).timestamp())) for (key,) in rows]
