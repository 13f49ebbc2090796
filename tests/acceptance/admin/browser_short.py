"""A short walk over the dashboard, for each commit: ``make browser-short``. ``make browser`` does the rest."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from django_loco.shutdown import CLEAN

from ..project import Project
from . import browser_jobs
from .browser_flows import filled
from .browser_jobs import opened

browser, site = browser_jobs.browser, browser_jobs.site
PAGES = ("", "jobs/", "failures/", "queues/", "tasks/", "limits/", "workflows/", "workers/", "schedules/")


@pytest.mark.timeout(120)
def test_each_page_opens_and_a_limit_is_changed(site: Project, browser: Browser) -> None:
    ids = filled(site)
    server = site.serve("--noreload")
    errors: list[str] = []
    page = opened(browser, site, "admin", errors)
    for name in (*PAGES, f"workflows/{ids['nightly']}/"):
        answer = page.goto(site.url(f"jobs/{name}"))
        assert answer is not None
        assert answer.status == 200, name
        expect(page.locator("main .card").first).to_be_visible()
    expect(page.locator(".graph .node")).to_have_count(10)
    page.goto(site.url("jobs/limits/"))
    page.click("[aria-label='Change supplier']")
    page.fill("[id='c-limit-default-supplier']", "3")
    page.click("[aria-label='Save supplier']")
    expect(page.locator(".message")).to_contain_text("supplier: Changed to concurrency 3.")
    assert errors == []
    page.close()
    assert server.terminate() == CLEAN
