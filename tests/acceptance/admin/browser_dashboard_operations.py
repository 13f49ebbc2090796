"""Workers, queues, tasks and schedules on the dashboard, by a browser with a strict policy: ``make browser``."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from django_loco.shutdown import CLEAN
from tests.processes import Process

from ..project import Project
from . import browser_jobs
from .browser_dashboard import URLS
from .browser_jobs import opened, picture

browser, pictures, site = browser_jobs.browser, browser_jobs.pictures, browser_jobs.site
SCHEDULES = """
from django_loco import scheduler
from pages.tasks import work
scheduler.every(work, seconds=15, args=["poll"], name="poll")
scheduler.daily(work, at="04:00", args=["night"], name="nightly")
scheduler.after("nightly", work, args=["report"], name="mail-report")
"""
MINUTES = """
import time
from django_loco.queues import queue_for
from django_loco.queues.records.minutes import NUMBERS, Labels, Minute, minute_of
now, queue = minute_of(time.time()), queue_for("default")
def row(ago, outcome, runs, task):
    numbers = dict.fromkeys(NUMBERS, 0) | {"count": runs, "duration_3": runs, "wait_1": runs}
    return Minute(Labels(now - ago, "default", task, outcome), tuple(numbers.values()))
for task in ("pages.tasks.work", "pages.tasks.charge"):
    queue.record([row(ago, "successful", 5 + ago % 7, task) for ago in range(3, 300)])
    queue.record([row(ago, "failed", 1, task) for ago in range(3, 300, 11)])
"""
SLOW = 20_000


@pytest.mark.timeout(240)
def test_workers_queues_tasks_and_schedules(site: Project, browser: Browser, pictures: Path) -> None:
    site.write("pages/urls.py", URLS)
    site.write("pages/schedules.py", SCHEDULES)
    site.shell(MINUTES)
    server, worker = site.serve("--noreload"), site.start("loco_worker")
    worker.wait_for("endless first begins")
    errors: list[str] = []
    page = opened(browser, site, "admin", errors)
    look_at_tables(page, site, pictures)
    run_schedules(page, site, pictures)
    watch_scheduler(page, site, pictures)
    control_worker(page, site, worker, pictures)
    dark = opened(browser, site, "viewer", errors, is_dark=True)
    for name in ("queues", "tasks", "workers"):
        dark.goto(site.url(f"jobs/{name}/"))
        expect(dark.locator("main button")).to_have_count(0)
        expect(dark.locator(".pages a", has_text="Schedules")).to_have_count(0)
        picture(dark, pictures, f"dark-dashboard-{name}")
    assert errors == []
    page.close()
    dark.close()
    assert server.terminate() == CLEAN


def look_at_tables(page: Page, site: Project, pictures: Path) -> None:
    """Pause a queue in its row, and sort tasks."""
    page.goto(site.url("jobs/queues/?range=6h"))
    page.click("[aria-label='Pause emails']")
    expect(page.locator("[aria-label='Resume emails']")).to_be_visible()
    assert page.url.endswith("?range=6h")
    page.locator("[id='t-q-default-default'] summary").press("Enter")
    expect(page.locator(".inner").first).to_be_visible()
    picture(page, pictures, "dashboard-queues")
    page.click("[aria-label='Resume emails']")
    page.goto(site.url("jobs/tasks/"))
    page.click("th >> text=Failure rate")
    expect(page.locator("[aria-sort=descending]")).to_have_text("Failure rate")
    expect(page.locator("[id='t-pages.tasks.charge']")).to_contain_text("charge")
    picture(page, pictures, "dashboard-tasks")


def run_schedules(page: Page, site: Project, pictures: Path) -> None:
    """Run a schedule, and pause and resume it."""
    page.goto(site.url("jobs/schedules/"))
    expect(page.locator("tbody[id]")).to_have_count(3)
    expect(page.locator("[id='s-mail-report'] .depth-1")).to_contain_text("mail-report")
    page.click("[aria-label='Run now: nightly']")
    expect(page.locator(".message.success")).to_contain_text("nightly: run now, as job")
    expect(page.locator("[id='s-nightly'] .dots .running")).to_be_visible(timeout=SLOW)
    page.click("[aria-label='Pause poll']")
    expect(page.locator("[id='s-poll'] .badge")).to_have_text("paused")
    page.locator("[id='h-s-nightly'] summary").press("Enter")
    picture(page, pictures, "dashboard-schedules")
    page.click("[aria-label='Resume poll']")
    expect(page.locator("[id='s-poll'] .badge")).to_have_text("on")


def watch_scheduler(page: Page, site: Project, pictures: Path) -> None:
    """See on open pages that no scheduler runs, that one begins, and that it ends."""
    page.goto(site.url("jobs/schedules/"))
    nobody = page.locator(".part-unserved .message")
    expect(nobody).to_contain_text("No scheduler is alive, so no schedule fires.")
    picture(page, pictures, "dashboard-schedules-nobody")
    page.goto(site.url("jobs/"))
    expect(page.locator(".health.bad")).to_contain_text("No scheduler is alive, and 2 schedules wait.")
    picture(page, pictures, "dashboard-overview-nobody")
    page.goto(site.url("jobs/workers/"))
    none = page.locator(".part-schedulers .none")
    expect(none).to_contain_text("No scheduler is registered.")
    scheduler = site.start("loco_scheduler")
    row = page.locator(".part-schedulers tbody tr")
    expect(row.locator(".badge")).to_have_text("alive", timeout=SLOW)
    expect(row.locator("[data-label=Schedules]")).to_have_text("3")
    expect(row.locator("[data-age]")).to_contain_text("ago")
    picture(page, pictures, "dashboard-schedulers")
    page.goto(site.url("jobs/schedules/"))
    expect(page.locator("tbody[id]")).to_have_count(3)
    expect(nobody).to_have_count(0)
    assert scheduler.terminate() == CLEAN
    expect(nobody).to_be_visible(timeout=SLOW)


def control_worker(page: Page, site: Project, worker: Process, pictures: Path) -> None:
    """Quiet a worker, let it take jobs again, and stop it, by keys."""
    page.goto(site.url("jobs/workers/"))
    page.locator("main button[name=quiet]").press("Enter")
    worker.wait_for("was told to take no more jobs")
    expect(page.locator(".badge")).to_have_text("quiet", timeout=SLOW)
    page.locator("button[name=unquiet]").press("Enter")
    expect(page.locator(".badge")).to_have_text("alive", timeout=SLOW)
    page.locator(".actions summary").press("Enter")
    picture(page, pictures, "dashboard-workers")
    page.locator("button[name=stop]").press("Enter")
    for name in ("night", "poll"):
        site.open_gate(name)
    worker.wait_for("somebody has stopped its worker")
    site.shell("from django_loco import jobs\njobs.filter('status:running').cancel()")
    worker.wait()
    expect(page.locator(".part-list .none")).to_contain_text("No worker is registered.", timeout=SLOW)
