"""Nothing is lost: real workers, killed and stopped in the middle of their jobs."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime

import pytest

from .chaos import JOBS, LEASE, SCALE, enqueue, enqueue_both, errors, keys, notes, redis_queue, statuses, wait_until
from .storm import SEED, Storm

pytestmark = pytest.mark.storm

#: Seconds in which nobody may have looked for expired leases: processes start more slowly on a busy machine.
MOMENT = 4


def test_kill_9_loses_no_job(any_site, capsys):
    """As often as may be: see ``storm``."""
    any_site.settings["LOCO"] = {"LEASE": LEASE, "NUM_WORKERS": 2, "ASYNC_WORKERS": 1}
    name = "redis" if redis_queue(any_site) else os.environ.get("LOCO_TEST_DATABASE", "sqlite")
    storm = Storm(any_site, JOBS, kills=2 * SCALE)
    with capsys.disabled():
        print(f"\nkill -9, a lease of {LEASE} s, LOCO_CHAOS_SEED={SEED}")
    storm.enqueue()
    storm.rage()
    toll = storm.settle(LEASE + 60)
    with capsys.disabled():
        print(f"{toll.head()}\n{toll.row(name)}")
    assert toll.lost == toll.more_than_once == toll.needlessly == 0
    moment = MOMENT * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    late = [(seconds, holders) for seconds, holders in toll.waits if seconds > holders * (LEASE + moment)]
    assert not late, "not back within one lease, and the moment in which a worker looks away"


def test_poison_and_forks_in_a_storm_harm_nobody_else(any_site, capsys):
    any_site.settings["LOCO"] = {"LEASE": 3, "NUM_WORKERS": 2, "ASYNC_WORKERS": 1}
    killers = min(SCALE, 10)
    storm = Storm(any_site, JOBS // 4, kills=SCALE, killers=killers, forks=3 * SCALE)
    began = time.monotonic()
    storm.enqueue()
    storm.rage()
    toll = storm.settle(60 + 20 * killers)
    name = "redis" if redis_queue(any_site) else os.environ.get("LOCO_TEST_DATABASE", "sqlite")
    harmed = toll.harmless_failed + toll.lost
    with capsys.disabled():
        print(f"\n{killers} poison jobs, {time.monotonic() - began:.0f} s, LOCO_CHAOS_SEED={SEED}")
        print(
            f"failed as lost: {toll.poison_failed}, harmless jobs lost: {harmed}, ran alone: {toll.suspects} of these"
        )
        print(f"{toll.head()}\n{toll.row(name)}")
    assert toll.poison_failed == killers
    assert toll.harmless_failed == toll.lost == toll.more_than_once == toll.needlessly == 0


def test_sigterm_loses_no_job_and_runs_none_twice(any_site):
    any_site.settings["LOCO"] = {"NUM_WORKERS": 3, "ASYNC_WORKERS": 3}
    enqueue_both(any_site)
    first = any_site.start("loco_worker")
    wait_until(lambda: len(notes(any_site, "end")) > JOBS // 5)
    assert first.terminate() == 0
    assert len(notes(any_site, "end")) < JOBS, "it was too late to stop it"
    assert notes(any_site, "start") == notes(any_site, "end")
    assert set(statuses(any_site)) == {"READY", "SUCCESSFUL"}, "what was not done is ready for the next worker"

    second = any_site.start("loco_worker", "--drain")
    assert second.wait(60) == 0
    assert statuses(any_site) == {"SUCCESSFUL": JOBS}
    assert set(notes(any_site, "end").values()) == {1}
    assert set(notes(any_site, "start").values()) == {1}


@pytest.mark.extra("sqlite")
def test_a_job_that_kills_its_worker_fails_as_lost_the_third_time(any_site):
    any_site.settings["LOCO"] = {"LEASE": 1}
    enqueue(any_site, "poison", 1)
    for deaths in range(1, 3):
        worker = any_site.start("loco_worker")
        assert worker.wait(30) == -signal.SIGKILL
        assert notes(any_site, "start")["0"] == deaths
    survivor = any_site.start("loco_worker")  # It runs the job in a process of its own.
    wait_until(lambda: statuses(any_site) == {"FAILED": 1})
    assert notes(any_site, "start")["0"] == 3
    assert survivor.terminate() == 0
    assert "LostJob" in errors(any_site)[0]


def test_four_workers_and_a_busy_site_share_a_queue(any_site):
    for _ in range(4):
        any_site.start("loco_worker")
    for _ in range(5):
        enqueue(any_site, count=JOBS // 5)
    wait_until(lambda: statuses(any_site) == {"SUCCESSFUL": JOBS // 5 * 5})
    assert set(notes(any_site, "end").values()) == {5}
    for process in [process for process in any_site.processes if process.is_running]:
        process.wait_for("stop +Ctrl-C")  # until then a signal kills it
        assert process.terminate() == 0
        assert "locked" not in process.output


def test_two_schedulers_fire_each_tick_once(any_site, capsys):
    seconds = 5 * SCALE
    schedulers = [any_site.start("loco_scheduler", LOCO_TEST_TICKS="1") for _ in range(2)]
    worker = any_site.start("loco_worker", "--scheduler", LOCO_TEST_TICKS="1")
    wait_until(lambda: len(ticks(any_site)) >= seconds, seconds + 30)
    for process in [*schedulers, worker]:
        assert process.terminate() == 0
    fired = ticks(any_site)
    expected = [str(at) for at in range(int(fired[0]), int(fired[-1]) + 1)]
    assert fired == expected, "a tick is missing or double"
    with capsys.disabled():
        print(f"\n3 schedulers, {seconds} s: {len(fired)} ticks, 0 missed, 0 double")


def ticks(site):
    """The seconds since 1970 of the ticks that became jobs, in order."""
    ticked = (datetime.fromisoformat(key.partition("@")[2]) for key in keys(site, "tick@"))
    return [str(round(moment.timestamp())) for moment in ticked]
