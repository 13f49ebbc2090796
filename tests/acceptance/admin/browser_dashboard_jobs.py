"""Jobs and failures on the dashboard, by the keys of a browser with a strict policy for content: ``make browser``."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from django_loco.shutdown import CLEAN

from ..project import Project
from . import browser_jobs
from .browser_dashboard import URLS
from .browser_jobs import opened, picture, place_of_text

browser, pictures, site = browser_jobs.browser, browser_jobs.pictures, browser_jobs.site
FAIL = """
from datetime import timedelta
from django_loco.core.job import FAILED, Job, Outcome, error_of
from django_loco.queues import Claim, queue_for
queue = queue_for("default")
text = "<script>alert(1)</script> order %d has no price"
for number in range(3):
    arguments = "[[%d], {}]" % number
    queue.enqueue([Job(task_path="pages.tasks.charge", backend="default", queue_name="broken", arguments=arguments)])
held = queue.fetch(Claim(worker_id="w", lease=60, threads=9, coroutines=0, queues=("broken",)))
ends = enumerate(held)
queue.finish([Outcome(job=job, status=FAILED, error=error_of(ValueError, text % number)) for number, job in ends])
"""


def focused(page: Page) -> str:
    """Return the text of what has the focus."""
    return str(page.evaluate("document.activeElement.textContent.trim()"))


@pytest.mark.timeout(240)
def test_jobs_are_found_and_retried_by_keys(site: Project, browser: Browser, pictures: Path) -> None:
    site.write("pages/urls.py", URLS)
    site.shell(FAIL)
    process = site.serve("--noreload")
    errors: list[str] = []
    page = opened(browser, site, "admin", errors)
    page.goto(site.url("jobs/jobs/"))
    find(page)
    retry(page)
    follow(page, site)
    picture(page, pictures, "dashboard-jobs")
    see_failures(page, site, pictures)
    see_job(page, site, pictures)
    dark = opened(browser, site, "viewer", errors, is_dark=True)
    for name in ("jobs", "failures"):
        dark.goto(site.url(f"jobs/{name}/"))
        expect(dark.locator("main [name=operation], main [name=do], main [type=checkbox]")).to_have_count(0)
        picture(dark, pictures, f"dark-dashboard-{name}")
    assert errors == []
    page.close()
    dark.close()
    assert process.terminate() == CLEAN


def find(page: Page) -> None:
    """Complete a filter by keys."""
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("queue:br")
    expect(page.locator("[role=option]:visible")).to_have_text(["queue:broken"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.type("status:fai")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(page.locator("#filter")).to_have_value("queue:broken status:failed ")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=queue%3Abroken+status%3Afailed*")
    expect(page.locator("[data-row]")).to_have_count(3)


def retry(page: Page) -> None:
    """Select two of three jobs, and retry them after the question."""
    page.locator("body").press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("#which option").first).to_have_text("With the 2 selected")
    page.keyboard.press("r")
    expect(page.locator("#ask-h")).to_have_text("Retry 2 jobs?")
    page.keyboard.press("Enter")
    expect(page.locator(".message")).to_have_text("2 jobs were retried.")
    expect(page.locator("[data-row]")).to_have_count(1)


def follow(page: Page, site: Project) -> None:
    """A new job appears, and neither the focus nor the list moves while a job is selected."""
    page.goto(site.url("jobs/jobs/?q=task:work"))
    page.locator("body").press("j")
    page.keyboard.press("j")
    second = page.evaluate("document.activeElement.getAttribute('href')")
    site.shell("from pages.tasks import work\nwork.enqueue('new one')")
    expect(page.locator("[data-row]").first).to_contain_text("new one", timeout=20_000)
    assert page.evaluate("document.activeElement.getAttribute('href')") == second
    page.keyboard.press("x")
    site.shell("from pages.tasks import work\nwork.enqueue('newer one')")
    with page.expect_response(lambda answer: answer.status == 200 and "newer one" in answer.text(), timeout=20_000):
        pass
    expect(page.locator("[data-row]").first).to_contain_text("new one")
    page.keyboard.press("x")
    expect(page.locator("[data-row]").first).to_contain_text("newer one", timeout=20_000)


def see_failures(page: Page, site: Project, pictures: Path) -> None:
    """Retry a group of failures."""
    page.goto(site.url("jobs/failures/"))
    expect(page.locator("[data-row]")).to_have_count(1)
    expect(page.locator("[data-row] .text")).to_contain_text("<script>alert(#)</script> order # has no price")
    assert place_of_text(page.locator("th.seen"))[0] == place_of_text(page.locator("td.seen"))[0]
    page.click("[data-row] summary")
    picture(page, pictures, "dashboard-failures")
    page.locator("body").press("j")
    page.keyboard.press("r")
    expect(page.locator("#ask-h")).to_have_text("Retry 1 job?")
    page.click("text=No, go back")
    page.wait_for_url("**/jobs/failures/?period=1d")


def see_job(page: Page, site: Project, pictures: Path) -> None:
    """Look at a job, copy it as Python, and run it again with other arguments."""
    page.goto(site.url("jobs/jobs/?q=status:failed"))
    page.locator("body").press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".step.failed")).to_be_visible()
    page.click("#as-python summary")
    page.click("#copy")
    expect(page.locator("#copy")).to_have_text("Copied")
    expect(page.locator("#python")).to_contain_text("from pages.tasks import charge")
    picture(page, pictures, "dashboard-job")
    page.click("#again")
    page.fill("#id_args", "[8]")
    page.click("text=Run again >> nth=-1")
    expect(page.locator(".message")).to_contain_text("this is the new job")
    expect(page.locator("#data-h ~ table")).to_contain_text("8")
    page.click("#do-cancel")
    expect(page.locator("#ask-h")).to_have_text("Cancel 1 job?")
    page.keyboard.press("Enter")
    expect(page.locator(".badge").first).to_have_text("cancelled")
