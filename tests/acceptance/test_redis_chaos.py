"""Nothing is lost when it is Redis that dies or hangs in the middle of the jobs, and no worker has to be restarted."""

from __future__ import annotations

import signal
import time
from collections import Counter

import pytest

from tests.processes import Site
from tests.redis_server import ON_DISK, RedisServer

from .chaos import SCALE, enqueue, notes, redis_queue, statuses, story, wait_until

pytestmark = pytest.mark.storm

JOBS = 1_000 * SCALE
FEW = 500
WORKERS = 2


@pytest.fixture
def server(request):
    with RedisServer(*getattr(request, "param", ())) as server:
        yield server


@pytest.fixture
def site(redis_server, server, tmp_path):  # redis_server: to be left out where that is
    with Site(str(tmp_path / "site.sqlite3"), tmp_path, TASKS=server.setting(), LOCO={"NUM_WORKERS": 5}) as site:
        yield site


def half_done(site):
    return JOBS // 4 < len(notes(site, "end")) < JOBS // 2


def end(site):
    """Stop the workers, which are still those of the beginning."""
    for process in [process for process in site.processes if process.is_running]:
        assert process.terminate() == 0
    assert len(site.processes) == WORKERS


@pytest.mark.extra("everysec")
@pytest.mark.parametrize("server", [(*ON_DISK, "always"), (*ON_DISK, "everysec")], indirect=True, ids=lambda o: o[-1])
def test_kill_9_of_redis(site, server, capsys, request):
    enqueue(site, count=JOBS)
    workers = [site.start("loco_worker") for _ in range(WORKERS)]
    wait_until(lambda: half_done(site))
    server.kill()
    for worker in workers:
        worker.wait_for("cannot fetch and finish jobs for now")
    server.start()
    started_at = time.monotonic()
    wait_until(lambda: statuses(site) == {"SUCCESSFUL": JOBS})
    seconds = time.monotonic() - started_at
    for worker in workers:
        worker.wait_for("can fetch and finish jobs again")
        assert worker.output.count("ERROR: The worker cannot") == 1, "one thread says so for all"
    end(site)
    with capsys.disabled():
        print(f"\n{request.node.callspec.id}, kill -9 of Redis: {story(site, JOBS)}, all done {seconds:.1f} s later")


def test_a_redis_that_hangs(site, server, capsys):
    enqueue(site, count=JOBS)
    for _ in range(WORKERS):
        site.start("loco_worker")
    wait_until(lambda: half_done(site))
    server.pause()
    time.sleep(5.5)  # longer than a socket waits
    server.resume()
    wait_until(lambda: statuses(site) == {"SUCCESSFUL": JOBS})
    end(site)
    assert set(notes(site, "start").values()) == {1}, "none ran twice"
    lost = Counter(job.lost for job in redis_queue(site).list(limit=JOBS))
    assert lost == {0: JOBS}, "none was taken for one whose worker has died"
    with capsys.disabled():
        print(f"\nSIGSTOP of Redis: {story(site, JOBS)}")


def test_workers_that_are_there_before_redis_is(site, server):
    server.kill()
    worker = site.start("loco_worker")
    worker.wait_for("cannot .* for now: .*Connection refused")
    server.start()
    enqueue(site, count=10)
    wait_until(lambda: statuses(site) == {"SUCCESSFUL": 10})
    assert worker.terminate() == 0


def test_a_worker_can_be_stopped_while_redis_hangs(site, server, capsys):
    site.settings["LOCO"] = {"SHUTDOWN_TIMEOUT": 3, "LEASE": 3}
    enqueue(site, count=FEW)
    worker = site.start("loco_worker")
    wait_until(lambda: notes(site, "end"))
    server.pause()
    try:
        asked_at = time.monotonic()
        worker.signal(signal.SIGTERM)
        code = worker.wait(15)
        seconds = time.monotonic() - asked_at
    finally:
        server.resume()
    site.start("loco_worker")
    wait_until(lambda: statuses(site) == {"SUCCESSFUL": FEW})
    with capsys.disabled():
        print(f"\nSIGTERM while Redis hangs: ended after {seconds:.1f} s with {code}; {story(site, FEW)}")
