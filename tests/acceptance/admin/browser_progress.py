"""``{% loco_progress result %}`` on a page of a site, with a strict Content Security Policy: ``make browser``."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from django_loco.shutdown import CLEAN

from ..project import Project
from . import browser_jobs

browser, site = browser_jobs.browser, browser_jobs.site
TASKS = """
from django_loco.tasks import task
from pages.steps import say, wait_for_file

@task(takes_context=True)
def bring(context, name):
    context.progress(1, 4, "<b>first</b>")
    say(f"{name} has begun")
    wait_for_file(f"{name}-half")
    context.progress(2, 4)
    say(f"{name} is half done")
    wait_for_file(f"{name}-end")
"""
URLS = """
from django.http import HttpResponse
from django.template import RequestContext, Template
from django.urls import include, path
from pages.bringing import bring

def show(request):
    results = [bring.get_result(each) for each in request.GET.getlist("id")]
    page = "{% load django_loco %}<!doctype html><title>x</title><link rel='icon' href='data:,'>"
    page += "{% for each in results %}{% loco_progress each label='Import' %}{% endfor %}"
    return HttpResponse(Template(page).render(RequestContext(request, {"results": results})))

urlpatterns = [path("show", show), path("", include("django_loco.urls.progress"))]
"""
ENDED = "window.ended = []; document.addEventListener('loco:finished', (event) => ended.push(event.detail.state))"


@pytest.mark.timeout(180)
def test_two_bars_update_themselves_and_stop_when_their_jobs_have_ended(site: Project, browser: Browser) -> None:
    site.write("pages/bringing.py", TASKS)
    site.write("pages/urls.py", URLS)
    site.shell("from django_loco import jobs\njobs.filter('task:pages.tasks.*').delete()")
    process = site.serve("--worker", "--noreload")
    errors: list[str] = []
    asked: list[str] = []
    ids = [site.shell(f"from pages.bringing import bring\nprint(bring.enqueue('{name}').id)").strip() for name in "ab"]
    page = browser.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url) if "_progress" in request.url else None)
    page.add_init_script(ENDED)
    process.wait_for("a has begun")
    page.goto(site.url(f"show?id={ids[0]}&id={ids[1]}"))
    first, second = page.locator(".loco-progress").nth(0), page.locator(".loco-progress").nth(1)
    expect(first.locator(".loco-progress-text")).to_have_text("1 of 4 (25 %): <b>first</b>", timeout=20_000)
    expect(page.get_by_label("Import").nth(0)).to_have_js_property("value", 25)
    site.open_gate("a-half")
    expect(first.locator(".loco-progress-text")).to_have_text("2 of 4 (50 %)", timeout=20_000)
    site.open_gate("a-end")
    expect(first.get_by_role("status")).to_have_text("done", timeout=20_000)
    expect(page.get_by_label("Import").nth(0)).to_have_js_property("value", 100)
    assert page.evaluate("window.ended") == ["done"]
    number = len(asked)
    with page.expect_request("**/_progress/**", timeout=30_000) as request:  # of the other one
        pass
    assert request.value.url == asked[-1] != asked[0]
    assert len(asked) > number
    site.shell(f"from django_loco import jobs\njobs.cancel('{ids[1]}')")
    expect(second.get_by_role("status")).to_have_text("cancelled", timeout=20_000)
    assert sorted(page.evaluate("window.ended")) == ["cancelled", "done"]
    assert errors == []
    for gate in ("b-half", "b-end"):
        site.open_gate(gate)
    page.close()
    assert process.terminate() == CLEAN
