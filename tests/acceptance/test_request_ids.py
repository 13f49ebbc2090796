"""What a request sets going can be followed in the log, through processes and jobs of jobs."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest

from django_loco.shutdown import CLEAN

CHAIN = """
import logging
from django_loco.tasks import task

logger = logging.getLogger("pages")

@task(max_attempts=2, backoff=0.1)
def first(name):
    logger.warning("first of %s", name)
    second.enqueue(name)

@task
async def second(name):
    logger.warning("second of %s", name)
    await third.using(timeout=30).aenqueue(name)

@task
def third(name):
    logger.warning("third of %s", name)
"""
REQUEST = "0198f3a1c2d37e4f8a1b2c3d5f0c77de"


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_the_lines_of_jobs_tell_the_request_in_another_process(project, log_format):
    project.settings |= {"MIDDLEWARE": ["django_loco.middleware.request_id"], "LOCO": {"LOG_FORMAT": log_format}}
    project.write("pages/tasks.py", CHAIN)
    project.change("pages/urls.py", "import work", "import first")
    project.change("pages/urls.py", "work.enqueue", "first.enqueue")
    server, worker = project.start("loco_start", "--noreload", str(project.port)), project.start("loco_worker")
    server.wait_for("up to 25 s")
    request = urllib.request.Request(project.url("enqueue/x"), headers={"X-Request-ID": REQUEST})  # noqa: S310
    with urllib.request.urlopen(request) as response:  # noqa: S310 - the test's own URL
        assert response.headers["X-Request-ID"] == REQUEST
    for name in ("first", "second", "third"):
        worker.wait_for(f"{name} of x")
    worker.wait_for("third#.*done in|done in.*third")
    project.shell("from pages.tasks import third; third.enqueue('y')")
    worker.wait_for("third of y")
    assert [process.terminate() for process in (worker, server)] == [CLEAN, CLEAN]
    lines = [line for line in worker.lines if re.search(r"(first|second|third)(#| of |\")", line)]
    of_request, of_nobody = lines[:6], lines[6:]
    assert len(of_nobody) == 2
    if log_format == "json":
        assert [json.loads(line).get("request_id") for line in lines] == [REQUEST] * 6 + [None] * 2
    else:
        assert all("/1 request=5f0c77de " in line for line in of_request)
        assert not any("request" in line for line in of_nobody)
