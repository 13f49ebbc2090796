"""Every page of the dashboard, and those of jobs in the admin, by axe-core, in light and in dark: ``make browser``.

axe-core is in the folder ``axe``, as npm has it: version 4.14.1, under the Mozilla Public License 2.0.
Source: https://www.npmjs.com/package/axe-core
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from django_loco.shutdown import CLEAN

from ..project import Project
from . import browser_jobs
from .browser_dashboard_operations import MINUTES, SCHEDULES
from .browser_flows import filled
from .browser_jobs import JOBS, WORKERS, opened

browser, site = browser_jobs.browser, browser_jobs.site
AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
#: What is not looked at is what Django's admin has around its content.
RUN = "async (where) => (await axe.run(where)).violations"
SERIOUS = ("serious", "critical")
PAGES = (
    "",
    "jobs/",
    "jobs/?q=stauts:x",
    "failures/",
    "queues/",
    "tasks/",
    "limits/",
    "workflows/",
    "workers/",
    "schedules/",
)
SCHEDULER = """
from django_loco.core.job import utcnow
from django_loco.queues import queue_for
from django_loco.queues.workers import Role, WorkerInfo
queue_for("default").register(WorkerInfo(
    worker_id="app:1:cd/0", host="app", pid=1, queues=(), tags=("nightly",), threads=0, coroutines=0, lease=3600.0,
    started_at=utcnow(), role=Role.SCHEDULER, schedules=3, release="r7",
))
"""
PAUSED = """
from django_loco import jobs
jobs.pause(queue="emails"); jobs.pause(task="pages.tasks.work"); jobs.pause(tag="shop")
"""


@pytest.mark.timeout(300)
def test_axe_finds_nothing_serious(site: Project, browser: Browser) -> None:
    ids = filled(site)
    site.write("pages/schedules.py", SCHEDULES)
    site.shell(MINUTES)
    server, worker = site.serve("--noreload"), site.start("loco_worker")
    worker.wait_for("endless first begins")
    printed = site.shell("from django_loco import jobs\nprint('id', next(jobs.filter('task:*.charge').ids()))")
    job_id = re.findall(r"id ([0-9a-f]{32})", printed)[-1]
    site.shell(PAUSED)
    found = []
    for is_dark in (False, True):
        if is_dark:
            site.shell(SCHEDULER)
        page = opened(browser, site, "admin", [], is_dark=is_dark)
        for name in visited(page, site, job_id, [f"workflows/{each}/" for each in ids.values()]):
            found += [f"{'dark' if is_dark else 'light'} {name}: {each}" for each in violations(page)]
        page.close()
    assert found == []
    site.open_gate("answered")
    site.shell("from django_loco import jobs\njobs.filter('status:running').cancel()")
    worker.wait_for("endless first is over")
    for process in (worker, server):
        assert process.terminate() == CLEAN


def visited(page: Page, site: Project, job_id: str, others: Sequence[str]) -> Iterator[str]:
    """Open one page after the other; yield the name of each."""
    for name in (*PAGES, *others, f"jobs/{job_id}/", f"jobs/{job_id}/again"):
        page.goto(site.url(f"jobs/{name}"))
        yield f"jobs/{name}"
    page.goto(site.url("jobs/jobs/"))
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    yield "the keys"
    page.goto(site.url("jobs/jobs/?q=status:scheduled"))
    page.select_option("#which", "everything")
    page.click("button[value=cancel]")
    expect(page.locator("#ask-h")).to_be_visible()
    yield "the question"
    page.goto(site.url("jobs/workers/"))
    page.click("[name=stacks]")
    expect(page.locator(".stacks")).to_be_visible(timeout=20_000)
    yield "stacks"
    for name in (JOBS, WORKERS, f"{JOBS}{job_id}/change/", f"{JOBS}{job_id}/run-again/"):
        page.goto(site.url(name))
        yield name


def violations(page: Page) -> list[str]:
    """Return what axe calls serious on the present page."""
    page.evaluate(AXE)
    where = "#content" if "/admin/" in page.url else "html"
    found: list[dict[str, Any]] = page.evaluate(RUN, where)
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]
