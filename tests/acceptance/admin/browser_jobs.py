"""Jobs in the admin, by a browser with scripts and a strict Content Security Policy: ``make browser``.

It needs Playwright and a Chromium, so it is not part of the other tests. It leaves pictures of the pages, in light and
dark and of two widths, in `.cache/pictures`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, FloatRect, Locator, Page, expect, sync_playwright

from django_loco.shutdown import CLEAN
from tests.processes import ROOT, Process

from ..project import Project
from ..scheduler.admin_site import MIDDLEWARE, PASSWORD, with_admin

NAMES = ("chromium", "chromium-browser", "google-chrome")
JOBS, WORKERS = "admin/django_loco/locojob/", "admin/django_loco/locoworker/"
WIDTHS, HIGHEST = (360, 1440), 1400
POLICY = """
def strict(get_response):
    def middleware(request):
        response = get_response(request)
        response["Content-Security-Policy"] = "default-src 'none'; img-src 'self' data:; connect-src 'self'; " \\
            "form-action 'self'; script-src 'self'; style-src 'self'"
        return response
    return middleware
"""
TASKS = """
import time
from django_loco.tasks import task
from pages.steps import FOLDER, say, wait_for_file

@task
def work(name):
    say(f"job {name} begins")
    wait_for_file(name)
    say(f"job {name} ends")

@task(takes_context=True)
def endless(context, name):
    say(f"endless {name} begins")
    try:
        while True:
            time.sleep(0.02)
    finally:
        say(f"endless {name} is over")

@task(max_attempts=2, backoff=0)
def charge(order, *, currency="EUR", note=""):
    if not (FOLDER / "paid").exists():
        raise ConnectionError(f"<script>alert('{order}')</script> the bank does not answer")
    say(f"order {order} is charged")
    return {"order": order, "amount": 19.90}
"""
FILL = """
from datetime import timedelta
from pages.tasks import charge, endless, work
charge.using(queue_name="emails", tags=["shop", "<b>"]).enqueue(4711, note="<script>alert(1)</script>")
endless.enqueue("first")
for number in range(52):
    work.using(run_after=timedelta(hours=number + 1)).enqueue(f"later {number}")
"""
VIEWER = """
from django.contrib.auth.models import Permission, User
viewer = User.objects.create_user("viewer", password="for tests only", is_staff=True)
viewer.user_permissions.set(Permission.objects.filter(codename__in=["view_job", "view_worker"]))
"""


@pytest.fixture
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.fail(f"There is none of {', '.join(NAMES)} here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def site(project: Project) -> Project:
    """The project with the admin, two users, and jobs in several states."""
    project.write("pages/policy.py", POLICY)
    with_admin(project)
    project.write("pages/tasks.py", TASKS)
    project.settings["MIDDLEWARE"] = [*MIDDLEWARE, "pages.policy.strict"]
    project.shell(VIEWER)
    project.shell(FILL)
    return project


def opened(browser: Browser, site: Project, name: str, errors: list[str], *, is_dark: bool = False) -> Page:
    """Return a page on which ``name`` is logged in; ``errors`` are those of scripts and of the policy."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="dark" if is_dark else "light")
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if _is_error(message) else None)
    page.goto(site.url("admin/"))
    page.fill("#id_username", name)
    page.fill("#id_password", PASSWORD)
    page.click("[type=submit]")
    return page


def place_of_text(locator: Locator) -> tuple[float, float]:
    """Return where the text of an element begins, and the middle of its height, in pixels."""
    x, y = locator.evaluate(
        "element => { const range = document.createRange(); range.selectNodeContents(element); "
        "const { x, y, height } = range.getBoundingClientRect(); return [x, y + height / 2]; }"
    )
    return x, y


def _is_error(message: ConsoleMessage) -> bool:
    return message.type == "error" and not message.location["url"].endswith("favicon.ico")


def picture(page: Page, folder: Path, name: str) -> None:
    """Take pictures of the page, narrow and wide; nothing is wider than the window."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        height = min(page.evaluate("document.documentElement.scrollHeight"), HIGHEST)
        clip: FloatRect = {"x": 0, "y": 0, "width": width, "height": height}
        page.screenshot(path=folder / f"{name}-{width}.png", full_page=True, clip=clip)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} at {width}"
    page.set_viewport_size({"width": 1440, "height": 900})


@pytest.fixture
def pictures() -> Path:
    """A folder that stays."""
    folder = ROOT / ".cache" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.timeout(180)
def test_a_superuser_retries_a_failed_job_and_cancels_a_running_one(
    site: Project, browser: Browser, pictures: Path
) -> None:
    process = site.serve("--worker", "--noreload")
    process.wait_for("endless first begins")
    errors: list[str] = []
    page = opened(browser, site, "admin", errors)
    page.goto(site.url(f"{JOBS}?q=status:failed"))
    expect(page.locator(".loco-jobs tbody tr")).to_have_count(1)
    page.click(".loco-jobs .field-task a")
    retry_and_run_again(page, site, process, pictures)
    page.goto(site.url(f"{JOBS}?q=status:running"))
    cancel(page, process, pictures)
    page.goto(site.url(JOBS))
    picture(page, pictures, "list")
    page.click("a[rel=next]")
    expect(page.locator("a[rel=prev]")).to_be_visible()
    page.goto(site.url(f"{JOBS}?q=staus:failed"))
    expect(page.locator(".errornote")).to_contain_text("Did you mean 'status'?")
    picture(page, pictures, "mistake")
    page.goto(site.url(WORKERS))
    page.click("[aria-label='Pause emails']")
    resume = page.locator("[aria-label='Resume emails']")
    expect(resume).to_be_visible()
    name = page.locator("tr", has=resume).locator("th a")
    assert abs(place_of_text(resume)[1] - place_of_text(name)[1]) <= 1
    picture(page, pictures, "workers")
    look_in_the_dark(opened(browser, site, "admin", errors, is_dark=True), site, pictures)
    assert errors == []
    assert process.terminate() == CLEAN


def retry_and_run_again(page: Page, site: Project, process: Process, pictures: Path) -> None:
    """Retry the job whose page is shown, and run it again with another argument."""
    expect(page.locator(".loco-failure").first).to_contain_text("the bank does not answer")
    picture(page, pictures, "failed")
    site.open_gate("paid")
    page.click("button[value=retry]")
    expect(page.locator(".messagelist")).to_contain_text("1 job was retried.")
    process.wait_for("order 4711 is charged")
    page.goto(site.url(f"{JOBS}?q=status:done"))
    page.click(".loco-jobs .field-task a")
    expect(page.locator(".loco-heading .loco-state")).to_have_text("done")
    picture(page, pictures, "done")
    page.click("text=Run again…")
    page.fill("#id_args", "[4712]")
    picture(page, pictures, "run-again")
    page.click("input[value='Run again']")
    process.wait_for("order 4712 is charged")


def cancel(page: Page, process: Process, pictures: Path) -> None:
    """Cancel the running job in the list that is shown, and see it end."""
    page.check("#loco-all")
    expect(page.locator(".action-select:checked")).to_have_count(1)
    page.select_option("select[name=operation]", "cancel")
    page.click("button[value=chosen]")
    expect(page.locator(".loco-question")).to_contain_text("Cancel 1 job?")
    picture(page, pictures, "question")
    page.click("text=Yes, cancel")
    expect(page.locator(".messagelist")).to_contain_text("1 job was cancelled.")
    process.wait_for("endless first is over")


def look_in_the_dark(page: Page, site: Project, pictures: Path) -> None:
    for address, name in ((JOBS, "list"), (WORKERS, "workers")):
        page.goto(site.url(address))
        picture(page, pictures, f"dark-{name}")
    page.goto(site.url(f"{JOBS}?q=status:cancelled"))
    page.click(".loco-jobs .field-task a")
    picture(page, pictures, "dark-cancelled")


@pytest.mark.timeout(120)
def test_who_may_only_look_sees_the_same_without_buttons(site: Project, browser: Browser, pictures: Path) -> None:
    process = site.serve("--noreload")
    errors: list[str] = []
    page = opened(browser, site, "viewer", errors)
    for address in (JOBS, WORKERS):
        page.goto(site.url(address))
        expect(page.locator("#content-main button")).to_have_count(0)
        expect(page.locator("input[type=checkbox]")).to_have_count(0)
    page.goto(site.url(f"{JOBS}?q=task:endless"))
    page.click(".loco-jobs .field-task a")
    expect(page.locator(".loco-why")).to_contain_text("No worker of TASKS['default'] is alive.")
    expect(page.locator("#content-main button, #content-main .button")).to_have_count(0)
    picture(page, pictures, "viewer")
    assert errors == []
    assert process.terminate() == CLEAN
