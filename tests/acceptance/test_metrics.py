"""Metrics of real processes: a site of several processes, and a worker."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from django_loco.shutdown import CLEAN
from tests.acceptance.project import Project, get, wait_until
from tests.processes import SECONDS, free_port

URLS = """
from django.http import HttpResponse
from django.urls import include, path
from pages.tasks import work

def enqueue(request, name):
    work.enqueue(name)
    return HttpResponse("enqueued")

urlpatterns = [path("", include("django_loco.urls.metrics")), path("enqueue/<name>", enqueue)]
"""
SCHEDULES = """
from django_loco import scheduler
from pages.tasks import work
scheduler.daily(work, at="04:00", args=["night"], name="nightly")
"""
TOKEN = "4ebf1e3a9c6d42f0"
TASK = 'backend="default",queue="default",task="pages.tasks.work"'


def scrape(project: Project, token: str = TOKEN) -> list[str]:
    request = urllib.request.Request(project.url("metrics"), headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310 (the test's own URL)
        text: str = response.read().decode()
    return text.splitlines()


def test_what_processes_have_counted_outlives_them(project):
    project.write("pages/urls.py", URLS)
    project.settings["LOCO"] = {"METRICS_TOKEN": TOKEN}
    server = ("--http", "gunicorn", "--http-workers", "2", "--noreload")
    site = project.serve(*server)
    for name in ("a", "b"):
        project.enqueue(name)
        project.open_gate(name)
    assert 'loco_queue_jobs{backend="default",queue="default",state="ready"} 2' in scrape(project)
    assert project.start("loco_worker", "--drain").wait() == CLEAN
    assert site.terminate() == CLEAN
    project.serve(*server)
    pages = [scrape(project) for _ in range(8)]
    for lines in pages:
        assert {
            f"loco_jobs_enqueued_total{{{TASK}}} 2",
            f'loco_jobs_finished_total{{{TASK},outcome="successful"}} 2',
            f"loco_job_duration_seconds_count{{{TASK}}} 2",
            'loco_job_wait_seconds_count{backend="default",queue="default"} 2',
            'loco_queue_jobs{backend="default",queue="default",state="done"} 2',
        } <= set(lines)


def test_a_site_without_users_says_what_it_wants(project):
    project.write("pages/urls.py", URLS)
    project.settings["LOCO"] = {"METRICS_TOKEN": TOKEN}
    project.serve("--noreload")
    with pytest.raises(urllib.error.HTTPError) as raised:
        scrape(project, "wrong")
    with raised.value as error:
        assert (error.code, error.read()) == (401, b'The token is not that of LOCO["METRICS_TOKEN"].\n')


def test_a_site_tells_whether_a_scheduler_is_alive(project):
    project.write("pages/urls.py", URLS)
    project.write("pages/schedules.py", SCHEDULES)
    project.settings["LOCO"] = {"METRICS_TOKEN": TOKEN, "LEASE": 2}
    project.serve("--noreload")
    nobody, somebody = (f'loco_schedulers{{backend="default"}} {number}' for number in (0, 1))
    assert {"loco_schedules 1", nobody} <= set(scrape(project))
    scheduler = project.start("loco_scheduler", "--noreload")
    wait_until(lambda: somebody in scrape(project), "a living scheduler")
    scheduler.kill()
    wait_until(lambda: nobody in scrape(project), "the death of the scheduler")


def test_a_worker_tells_how_it_fares(project):
    port = free_port()
    project.shell("from pages.tasks import work; work.enqueue('a')")
    project.open_gate("a")
    worker = project.start("loco_worker", "--health-port", str(port))
    page = f"http://127.0.0.1:{port}/metrics"
    worker.wait_for("job a ends")
    done = 'loco_worker_attempts_total{component="worker",result="done"} 1'
    wait_until(lambda: done in get(page).splitlines(), "the end of the job")
    assert 'loco_component_up{component="worker"} 1' in get(page).splitlines()
    assert worker.terminate() == CLEAN
