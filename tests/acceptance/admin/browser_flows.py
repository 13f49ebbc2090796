"""Limits, workflows and batches on the dashboard, by a browser with a strict policy: ``make browser``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from django_loco.shutdown import CLEAN

from ..project import Project
from . import browser_jobs
from .browser_dashboard import URLS
from .browser_jobs import opened, picture

browser, pictures, site = browser_jobs.browser, browser_jobs.pictures, browser_jobs.site
LIMITS = {
    "supplier": {"concurrency": 2},
    "mail": {"rate": "6/m", "burst": 2},
    "index": {"concurrency": 4, "rate": "20/s"},
}
FLOWS = """
from django_loco.tasks import task
from pages.steps import FOLDER, say, wait_for_file

@task(limits=["supplier"])
def ask_supplier(number):
    say(f"question {number} begins")
    wait_for_file("answered")

@task(limits=["mail"], limit_key="customer", queue_name="emails")
def write_to(customer):
    return customer

@task
def extract(name):
    return {"name": name, "rows": 1250}

@task
def check(name):
    if not (FOLDER / "mended").exists():
        raise ValueError(f"<script>alert('{name}')</script>: the sums differ")
    return "checked"

@task
def load(*names):
    say(f"loaded {' '.join(names)}")
    return len(names)

@task
def tell(batch_id):
    return batch_id
"""
FILL = """
from pages import flows
from django_loco.tasks import Workflow, batch, enqueue_many
nightly = Workflow("nightly", metadata={"day": "2026-11-28"})
sources = [nightly.add(flows.extract, name, name=f"extract-{name}") for name in ("orders", "prices", "stock")]
checks = [
    nightly.add(flows.check, source.name, after=[source], name=source.name.replace("extract", "check"))
    for source in sources
]
whole = nightly.add(flows.load, "all", after=checks, name="load")
nightly.add(flows.load, "report", after=[whole], name="report")
nightly.add(flows.load, "index", after=[whole, sources[0]], name="update-the-search-index")
nightly.add(flows.load, "clean up", after=checks, on_failed="ignore", name="clean-up")
nightly.enqueue()
large = Workflow("large")
first = large.add(flows.extract, "first", name="first")
for number in range(100):
    large.add(flows.load, str(number), after=[first], name=f"part-{number}")
large.enqueue()
waiting = Workflow("<script>alert(1)</script>")
waiting.add(flows.ask_supplier, 0, name="ask")
waiting.enqueue()
with batch("price list", on_finish=flows.tell, metadata={"file": "prices.csv"}) as prices:
    prices.enqueue_many(flows.extract, [(str(number),) for number in range(40)])
    prices.enqueue(flows.check, "sums")
enqueue_many(flows.ask_supplier, [(number,) for number in range(1, 8)])
for customer in (4711, 4711, 4711, 4711, 4712, 4713, 4713):
    flows.write_to.enqueue(customer)
print("nightly", nightly.id, "large", large.id, "batch", prices.id)
"""


def filled(site: Project) -> dict[str, str]:
    """Add limits, workflows and a batch to a site; return their ids by their names."""
    site.write("pages/urls.py", URLS)
    site.write("pages/flows.py", FLOWS)
    site.settings["LOCO"] = {**site.settings.get("LOCO", {}), "LIMITS": LIMITS}
    return dict(re.findall(r"(nightly|large|batch) ([0-9a-f]{32})", site.shell(FILL)))


@pytest.mark.timeout(240)
def test_limits_workflows_and_batches(site: Project, browser: Browser, pictures: Path) -> None:
    ids = filled(site)
    server, worker = site.serve("--noreload"), site.start("loco_worker")
    worker.wait_for("endless first begins")
    worker.wait_for("question . begins")
    errors: list[str] = []
    page = opened(browser, site, "admin", errors)
    change_a_limit(page, site, pictures)
    look_at_workflows(page, site, pictures, ids)
    retry_the_failed_part(page, site, pictures, ids)
    dark = opened(browser, site, "viewer", errors, is_dark=True)
    pages = {"limits": "", "workflows": "", "workflow": f"{ids['nightly']}/", "batch": f"{ids['batch']}/"}
    for name, rest in pages.items():
        dark.goto(site.url(f"jobs/{'workflows' if rest else name}/{rest}"))
        expect(dark.locator("main button:not(dialog button)")).to_have_count(0)
        picture(dark, pictures, f"dark-dashboard-{name}")
    assert errors == []
    page.close()
    dark.close()
    site.open_gate("answered")
    site.shell("from django_loco import jobs\njobs.filter('status:running').cancel()")
    worker.wait_for("endless first is over")
    for process in (worker, server):
        assert process.terminate() == CLEAN


@pytest.mark.timeout(180)
def test_an_open_form_of_a_limit_follows_it(site: Project, browser: Browser) -> None:
    """A text that somebody has typed stays."""
    filled(site)
    process = site.serve("--noreload")
    errors: list[str] = []
    page = opened(browser, site, "admin", errors)
    page.goto(site.url("jobs/limits/"))
    page.click("[aria-label='Change index']")
    at_once, rate = (page.locator(f"[id='{each}-limit-default-index']") for each in "cr")
    at_once.fill("7")
    site.shell("from django_loco import jobs\njobs.set_limit('index', concurrency=2, rate='100/m')")
    expect(page.locator("[id='limit-default-index']")).to_contain_text("of 2", timeout=20_000)
    expect(rate).to_have_value("100/m")
    expect(at_once).to_have_value("7")
    page.click("[aria-label='Save index']")
    expect(page.locator(".message")).to_contain_text("index: Changed to concurrency 7, rate 100/m, burst 1.")
    assert errors == []
    page.close()
    assert process.terminate() == CLEAN


def change_a_limit(page: Page, site: Project, pictures: Path) -> None:
    """Let more jobs run at once, by keys, and see it on the page; then as declared."""
    page.goto(site.url("jobs/limits/"))
    supplier = page.locator("[id='limit-default-supplier']")
    expect(supplier).to_contain_text("full")
    expect(page.locator("[id='key-default-mail:4711']")).to_contain_text("2 of 2")
    picture(page, pictures, "dashboard-limits")
    page.locator("[aria-label='Change supplier']").press("Enter")
    at_once = page.locator("[id='c-limit-default-supplier']")
    at_once.fill("3")
    page.wait_for_event("requestfinished", lambda request: request.headers.get("accept") == "application/json")
    expect(at_once).to_have_value("3")
    picture(page, pictures, "dashboard-limits-change")
    page.locator("[aria-label='Save supplier']").press("Enter")
    expect(page.locator(".message")).to_contain_text("supplier: Changed to concurrency 3.")
    expect(supplier).to_contain_text("3 of 3", timeout=20_000)
    page.locator("[aria-label='Change supplier']").press("Enter")
    page.locator("[aria-label='As declared: supplier']").press("Enter")
    expect(supplier.locator(".badge", has_text="changed")).to_have_count(0)
    page.locator("[id='limit-default-supplier'] .n a").first.click()
    page.locator("[data-open]").first.click()
    page.click("text=See the limit")
    expect(page).to_have_url(re.compile(r"/jobs/limits/#limit-default-supplier$"))


def look_at_workflows(page: Page, site: Project, pictures: Path, ids: dict[str, str]) -> None:
    page.goto(site.url("jobs/workflows/"))
    expect(page.locator(f"[id='batch-{ids['nightly']}'] .badge")).to_have_text("failed", timeout=20_000)
    expect(page.locator(f"[id='batch-{ids['large']}'] .badge")).to_have_text("succeeded", timeout=20_000)
    picture(page, pictures, "dashboard-workflows")
    page.click(".tabs >> text=Succeeded")
    expect(page.locator("[data-open]")).to_have_text("large")
    page.goto(site.url(f"jobs/workflows/{ids['large']}/"))
    expect(page.locator(".graph")).to_have_count(0)
    picture(page, pictures, "dashboard-workflow-large")
    page.goto(site.url(f"jobs/workflows/{ids['batch']}/"))
    expect(page.locator(".flow-head")).to_contain_text("1 failed")
    picture(page, pictures, "dashboard-batch")


def retry_the_failed_part(page: Page, site: Project, pictures: Path, ids: dict[str, str]) -> None:
    """Retry the failed part of a workflow by keys, and see its nodes end in their order on the page that is open."""
    page.goto(site.url(f"jobs/workflows/{ids['nightly']}/"))
    expect(page.locator(".graph .failed")).to_have_count(3)
    expect(page.locator(".graph .cancelled")).to_have_count(3)
    picture(page, pictures, "dashboard-workflow")
    site.open_gate("mended")
    page.keyboard.press("r")
    expect(page.locator(".message")).to_contain_text("jobs were retried.")
    expect(page.locator(".flow-head .badge")).to_have_text("succeeded", timeout=20_000)
    expect(page.locator(".graph .done")).to_have_count(10, timeout=20_000)
    page.locator(".graph a").first.press("Enter")
    expect(page.locator("h1")).to_contain_text("extract")
    page.click("text=Workflow >> xpath=../td/a")
    expect(page.locator("h1")).to_contain_text("nightly")
