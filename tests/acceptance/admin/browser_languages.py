"""The pages in German and in Arabic, for a reader in Tokyo, by a browser: ``make browser``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page

from django_loco.shutdown import CLEAN

from ..project import Project
from ..scheduler.admin_site import MIDDLEWARE, PASSWORD
from . import browser_jobs
from .browser_dashboard import URLS
from .browser_jobs import JOBS, WORKERS, picture

browser, pictures, site = browser_jobs.browser, browser_jobs.pictures, browser_jobs.site
ZONE = "Asia/Tokyo"
PAGES = ("jobs/", "jobs/jobs/", "jobs/failures/", "jobs/queues/", "jobs/tasks/", "jobs/workers/", "jobs/schedules/")
ADMIN = (JOBS, WORKERS, "admin/django_loco/schedule/", "admin/django_loco/schedule/add/")


def opened(browser: Browser, site: Project, language: str, errors: list[str]) -> Page:
    """Return a page on which the superuser is logged in."""
    page = browser.new_context(locale=language, timezone_id=ZONE, viewport={"width": 1440, "height": 900}).new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(site.url("admin/"))
    page.fill("#id_username", "admin")
    page.fill("#id_password", PASSWORD)
    page.click("[type=submit]")
    return page


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("language", "direction", "word"), [("de", "ltr", "Warteschlangen"), ("ar", "rtl", "الطوابير")]
)
def test_pages_fit_in_both_directions(
    site: Project, browser: Browser, pictures: Path, language: str, direction: str, word: str
) -> None:
    site.write("pages/urls.py", URLS)
    position = MIDDLEWARE.index("django.contrib.sessions.middleware.SessionMiddleware") + 1
    before, after = MIDDLEWARE[:position], MIDDLEWARE[position:]
    site.settings["MIDDLEWARE"] = [*before, "django.middleware.locale.LocaleMiddleware", *after]
    process = site.serve("--noreload")
    errors: list[str] = []
    page = opened(browser, site, language, errors)
    for address in (*PAGES, *ADMIN):
        page.goto(site.url(address))
        assert page.evaluate("document.documentElement.lang") == language
        assert page.evaluate("getComputedStyle(document.body).direction") == direction
        picture(page, pictures, f"{language}-{address.strip('/').replace('/', '-')}")
    page.goto(site.url("jobs/"))
    assert word in page.inner_text("nav.pages")
    page.reload()
    shown = page.locator("#updated time")
    at = datetime.fromisoformat(shown.get_attribute("datetime") or "").astimezone(ZoneInfo(ZONE))
    assert f"{at:%H:%M:%S}" in shown.inner_text()
    assert errors == []
    page.close()
    assert process.terminate() == CLEAN
