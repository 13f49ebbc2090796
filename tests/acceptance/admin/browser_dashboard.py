"""The dashboard, by a browser with scripts and a strict Content Security Policy: ``make browser``."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, CDPSession, Page, Request, expect

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


@pytest.mark.timeout(180)
def test_a_focused_button_stays_that_of_its_queue(site: Project, browser: Browser) -> None:
    site.write("pages/urls.py", URLS)
    site.settings["TASKS"] = {"default": {"BACKEND": "django_loco.backend.LocoBackend", "QUEUES": []}}
    process = site.serve("--noreload")
    errors: list[str] = []
    page = opened(browser, site, "admin", errors)
    page.goto(site.url("jobs/"))
    page.locator("[aria-label='Pause emails']").focus()
    site.shell("from pages.tasks import work\nwork.using(queue_name='a-new-one').enqueue('one')")
    expect(page.locator("[aria-label='Pause a-new-one']")).to_be_visible(timeout=20_000)
    assert page.evaluate("document.activeElement.ariaLabel") == "Pause emails"
    page.keyboard.press("Enter")
    expect(page.locator("[aria-label='Resume emails']")).to_be_visible()
    expect(page.locator("[aria-label^=Resume]")).to_have_count(1)
    assert errors == []
    page.close()
    assert process.terminate() == CLEAN


#: Gives each bar of the last hour its three colours, and those of the next minutes.
FILL_AN_HOUR = """
import time
from django_loco.jobs.stores import queue_of
from django_loco.queues.records.minutes import NUMBERS, Labels, Minute, minute_of
def minute(at, outcome):
    numbers = dict.fromkeys(NUMBERS, 0) | {"count": 7, "duration_2": 7, "wait_1": 7}
    return Minute(Labels(at, "default", "shop.pay", outcome), tuple(numbers.values()))
now = minute_of(time.time())
queue_of("default").record([
    minute(at, outcome) for at in range(now - 70, now + 5) for outcome in ("successful", "failed", "retried")
])
"""


def nodes_of(session: CDPSession) -> int:
    """Return how many nodes of documents there are, after the garbage was collected."""
    session.send("HeapProfiler.collectGarbage")
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(int(each["value"]) for each in metrics if each["name"] == "Nodes")


@pytest.mark.timeout(180)
def test_a_chart_that_holds_an_hour_adds_no_nodes(site: Project, browser: Browser) -> None:
    site.write("pages/urls.py", URLS)
    site.shell(FILL_AN_HOUR)
    process = site.serve("--noreload")
    errors: list[str] = []
    page = opened(browser, site, "admin", errors)
    page.goto(site.url("jobs/?range=1h"))
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    runs, seen = page.locator(".part-activity .figures dd").first, []
    for _ in range(6):
        shown = runs.inner_text()
        site.shell(FILL_AN_HOUR)
        expect(runs).not_to_have_text(shown, timeout=20_000)
        expect(page.locator(".chart rect")).to_have_count(4 * 60)
        seen.append(nodes_of(session))
    assert max(seen[1:]) <= seen[0] + 20, seen
    assert errors == []
    page.close()
    assert process.terminate() == CLEAN


def background(page: Page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")  # type: ignore[no-any-return]


TENANTS = """
from django_loco import jobs
def seen_by(request):
    return None if request.user.is_superuser else jobs.filter(queue="emails")
"""


@pytest.mark.timeout(180)
def test_a_tenant_sees_their_own_jobs(site: Project, browser: Browser, pictures: Path) -> None:
    site.write("pages/urls.py", URLS)
    site.write("pages/tenants.py", TENANTS)
    site.settings["LOCO"] = {**site.settings.get("LOCO", {}), "DASHBOARD": "pages.tenants.seen_by"}
    process = site.serve("--noreload")
    errors: list[str] = []
    page, whole = opened(browser, site, "viewer", errors), opened(browser, site, "admin", errors)
    page.goto(site.url("jobs/"))
    expect(page.locator(".health")).to_contain_text("No worker is alive, and 1 job waits.")
    expect(page.locator(".pages a")).to_have_text(["Overview", "Jobs", "Failures", "Queues", "Tasks"])
    expect(page.locator(".part-workers")).to_have_count(0)
    picture(page, pictures, "dashboard-of-a-tenant")
    page.goto(site.url("jobs/jobs/"))
    expect(page.locator("[data-row]")).to_have_count(1)
    whole.goto(site.url("jobs/jobs/?q=queue:default"))
    other = str(whole.locator("[data-open]").first.get_attribute("href"))
    assert errors == []  # before the addresses that are refused
    for address, status in ((other, 404), ("/jobs/workers/", 403), ("/jobs/schedules/", 403)):
        answer = page.goto(site.url(address.lstrip("/")))
        assert answer is not None
        assert answer.status == status
    whole.goto(site.url(other.lstrip("/")))
    expect(whole.locator("h1")).to_contain_text("work")
    page.close()
    whole.close()
    assert process.terminate() == CLEAN


@pytest.mark.timeout(180)
def test_the_colours_are_those_that_somebody_has_chosen(site: Project, browser: Browser, pictures: Path) -> None:
    site.write("pages/urls.py", URLS)
    process = site.serve("--noreload")
    errors: list[str] = []
    page = opened(browser, site, "admin", errors)
    page.goto(site.url("jobs/"))
    light = background(page)
    page.select_option("#theme", "dark")
    dark = background(page)
    assert dark != light
    picture(page, pictures, "dark-by-choice")
    # The body is not there yet when the theme is set, so that no page begins with other colours.
    page.add_init_script(
        "new MutationObserver(() => {"
        "if (document.body && !window.began) window.began = document.documentElement.dataset.theme;"
        "}).observe(document, { childList: true, subtree: true })"
    )
    page.goto(site.url("jobs/jobs/"))
    assert (background(page), page.evaluate("window.began")) == (dark, "dark")
    expect(page.locator("#theme")).to_have_value("dark")
    with page.expect_popup() as opened_by_page:
        page.evaluate("address => { open(address); }", site.url("jobs/failures/"))
    other = opened_by_page.value
    other.select_option("#theme", "light")
    expect(page.locator("#theme")).to_have_value("light")
    assert background(page) == light
    page.emulate_media(color_scheme="dark")
    assert background(page) == light
    other.select_option("#theme", "")
    expect(page.locator("#theme")).to_have_value("")
    assert background(page) == dark
    assert errors == []
    page.close()
    other.close()
    assert process.terminate() == CLEAN


def is_poll(request: Request) -> bool:
    return request.headers.get("accept") == "application/json"


@pytest.mark.timeout(180)
def test_of_several_tabs_one_asks(site: Project, browser: Browser) -> None:
    site.write("pages/urls.py", URLS)
    process = site.serve("--noreload")
    errors: list[str] = []
    tabs = [opened(browser, site, "admin", errors)]
    polls: list[Page] = []
    tabs[0].goto(site.url("jobs/"))
    for _ in range(2):
        with tabs[0].expect_popup() as popup:
            tabs[0].evaluate("address => { open(address); }", site.url("jobs/"))
        tabs.append(popup.value)
    for tab in tabs:
        tab.on("request", lambda request: polls.append(request.frame.page) if is_poll(request) else None)
    while not set(polls) >= set(tabs[1:]):  # each asks once, after it was opened
        tabs[0].wait_for_event("request", is_poll)
    polls.clear()
    with tabs[0].expect_response(lambda answer: is_poll(answer.request) and answer.status == 200, timeout=60_000):
        site.shell("from pages.tasks import work\nwork.enqueue('one')")
    for tab in tabs:
        expect(tab.locator(".health")).to_contain_text("and 55 jobs wait.", timeout=20_000)
        expect(tab.locator("#updated")).to_have_text("Live")
    assert set(polls) == {tabs[0]}
    polls.clear()
    tabs[0].goto("about:blank")
    site.shell("from pages.tasks import work\nwork.enqueue('one')")
    for tab in tabs[1:]:
        expect(tab.locator(".health")).to_contain_text("and 56 jobs wait.", timeout=20_000)
    assert len(set(polls)) == 1
    assert errors == []
    for tab in reversed(tabs):  # the first one closes the others
        tab.close()
    assert process.terminate() == CLEAN
