"""The dashboard, by a browser with scripts and a strict Content Security Policy: ``make browser``."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from django_loco.shutdown import CLEAN

from ..project import Project
from . import browser_jobs
from .browser_jobs import opened, picture

browser, pictures, site = browser_jobs.browser, browser_jobs.pictures, browser_jobs.site
URLS = """
from django.contrib import admin
from django.urls import include, path
urlpatterns = [path("admin/", admin.site.urls), path("jobs/", include("django_loco.urls.dashboard"))]
"""


@pytest.mark.timeout(180)
def test_a_queue_is_paused_and_a_new_job_appears(site: Project, browser: Browser, pictures: Path) -> None:
    site.write("pages/urls.py", URLS)
    process = site.serve("--noreload")
    errors: list[str] = []
    page = opened(browser, site, "admin", errors)
    page.goto(site.url("jobs/"))
    expect(page.locator(".health")).to_contain_text("No worker is alive, and 54 jobs wait.")
    page.click("[aria-label='Pause emails']")
    resume = page.locator("[aria-label='Resume emails']")
    expect(resume).to_be_visible()
    resume.focus()
    page.click("#activity-table summary")
    resume.focus()
    site.shell("from pages.tasks import work\nwork.enqueue('one')")
    expect(page.locator(".health")).to_contain_text("and 55 jobs wait.", timeout=20_000)
    site.shell("from django_loco import jobs\njobs.resume(queue='emails'); jobs.pause(queue='default')")
    expect(page.locator("[aria-label='Resume default']")).to_be_visible(timeout=20_000)
    expect(page.locator("#updated")).to_have_text("Live")
    assert page.evaluate("document.activeElement.ariaLabel") == "Pause emails"
    assert page.locator("#activity-table").get_attribute("open") is not None
    picture(page, pictures, "dashboard")
    dark = opened(browser, site, "viewer", errors, is_dark=True)
    dark.goto(site.url("jobs/"))
    expect(dark.locator("main button")).to_have_count(0)
    picture(dark, pictures, "dark-dashboard")
    assert errors == []
    page.close()
    dark.close()
    assert process.terminate() == CLEAN
