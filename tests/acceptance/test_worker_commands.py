"""Workers that are told through their queue what to do: ``loco_jobs quiet``, ``unquiet`` and ``stop``."""

from __future__ import annotations

import json
import time

import pytest

from django_loco.shutdown import CLEAN
from tests.redis_server import RedisServer

from .project import Project, wait_until
from .test_loco_worker import enqueue, start

#: What people are promised, and what a busy machine may add.
PROMISED_SECONDS, BUSY_SECONDS = 2.0, 8.0


@pytest.fixture(params=["database", "redis"])
def site(request: pytest.FixtureRequest, project: Project) -> Project:
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        project.settings["TASKS"] = server.setting()
    return project


def workers(project: Project) -> list[dict[str, str]]:
    """Return the registered workers."""
    code = (
        "import json\nfrom django_loco import jobs\n"
        "print(json.dumps([{'id': each.worker_id, 'role': each.role, 'state': each.state} for each in jobs.workers()]))"
    )
    found: list[dict[str, str]] = json.loads(project.shell(code).splitlines()[-1])
    return found


def the_worker(project: Project) -> dict[str, str]:
    """Return the only worker, once it is registered."""
    wait_until(lambda: bool(workers(project)), "a worker is registered")
    [worker] = workers(project)
    return worker


def tell(project: Project, verb: str, worker: str) -> float:
    """Run ``jobs.<verb>``; return the time at which it was done (``time.monotonic()``)."""
    project.shell(f"from django_loco import jobs\njobs.{verb}({worker!r})")
    return time.monotonic()


def test_a_worker_is_quiet_for_a_while_and_stops(site: Project):
    process = start(site)
    enqueue(site, "running")
    process.wait_for("job running begins")
    worker = the_worker(site)
    assert (worker["role"], worker["state"]) == ("worker", "running")
    told_at = tell(site, "quiet", worker["id"])
    process.wait_for("was told to take no more jobs")
    assert time.monotonic() - told_at < PROMISED_SECONDS + BUSY_SECONDS
    enqueue(site, "waiting")
    site.open_gate("running")
    process.wait_for("job running ends")
    assert [each["state"] for each in workers(site)] == ["quiet"]
    assert "job waiting begins" not in process.lines
    tell(site, "unquiet", worker["id"])
    process.wait_for("job waiting begins")
    assert "takes no more jobs" in site.manage("loco_jobs", "quiet", worker["id"])
    assert "was told to stop" in site.manage("loco_jobs", "stop", worker["id"])
    process.wait_for("somebody has stopped its worker")
    site.open_gate("waiting")
    process.wait_for("job waiting ends")
    assert process.wait() == CLEAN
    assert "no worker" in site.manage("loco_jobs", "stop", worker["id"], code=1)


def test_a_worker_beside_a_site_is_quiet_and_does_not_stop_the_site(served):
    process = served.serve("--worker", "--noreload")
    worker = the_worker(served)
    assert worker["role"] == "shared"
    assert "shares its process with a web server" in served.manage("loco_jobs", "stop", worker["id"], code=1)
    tell(served, "quiet", worker["id"])
    process.wait_for("was told to take no more jobs")
    served.enqueue("job")
    tell(served, "unquiet", worker["id"])
    process.wait_for("job job begins")
    served.open_gate("job")
    process.wait_for("job job ends")
    assert process.terminate() == CLEAN


def test_the_parent_of_several_processes_replaces_the_one_that_was_stopped(project):
    process = project.start("loco_worker", "--processes", "2")
    process.wait_for(r"Process \d is ready", count=2)
    wait_until(lambda: len(workers(project)) == 2, "both workers are registered")
    before = {worker["id"] for worker in workers(project)}
    stopped = min(before)
    tell(project, "stop", stopped)
    process.wait_for("somebody has stopped its worker")
    process.wait_for(r"Process \d is ready", count=3)
    assert stopped not in {worker["id"] for worker in workers(project)}
    assert process.terminate() == CLEAN
