"""The same as ``test_admin``, by a browser with scripts: ``make browser``. It needs Playwright and a Chromium.

Not part of the other tests: Playwright brings 150 MB, and a browser is not on every machine.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from django_loco.shutdown import CLEAN

from ..project import Project
from .admin_site import LIST, PASSWORD, with_admin
from .test_admin import AT_MOST_SECONDS

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a browser, in which no script fails."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.fail(f"There is none of {', '.join(NAMES)} here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        browser.close()
        assert errors == []


@pytest.mark.timeout(120)
def test_a_schedule_that_is_edited_in_a_browser_runs_within_5_s(project: Project, page: Page, tmp_path: Path) -> None:
    with_admin(project)
    for gate in ("first", "second"):
        project.open_gate(gate)
    process = project.serve("--worker", "--scheduler", "--noreload")
    page.goto(project.url("admin/"))
    page.fill("#id_username", "admin")
    page.fill("#id_password", PASSWORD)
    page.click("[type=submit]")

    page.goto(project.url(f"{LIST}add/"))
    preview = page.locator("#loco-preview")
    expect(page.locator("#id_run_1")).to_be_hidden()
    page.fill("#id_name", "live")
    page.select_option("#id_run_0", "pages.tasks.work")
    page.fill("#id_args", '["first"]')
    page.fill("#id_schedule", "every secnd")
    expect(preview).to_contain_text("Did you mean 'every second'?")
    page.fill("#id_schedule", "every second")
    expect(preview.locator("li")).to_have_count(5)
    began = time.monotonic()
    page.click("[name=_continue]")
    process.wait_for("job first ends")
    added = time.monotonic() - began

    page.fill("#id_args", '["second"]')
    page.screenshot(path=tmp_path / "change.png", full_page=True)
    began = time.monotonic()
    page.click("[name=_save]")
    process.wait_for("job second ends")
    changed = time.monotonic() - began

    page.click("text=All schedules")
    page.click("[aria-label='Pause live']")
    expect(page.locator("text=paused.")).to_be_visible()
    expect(page.locator("[aria-label='Resume live']")).to_be_visible()
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=tmp_path / f"all-{width}.png", full_page=True)
    assert process.terminate() == CLEAN
    print(f"a new schedule ran {added:.1f} s after it was saved, a changed one {changed:.1f} s; see {tmp_path}")
    assert max(added, changed) < AT_MOST_SECONDS
