"""A logging filter of the project that raises at every line, in real processes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from .project import Project, get, wait_until

SETTINGS = """
import logging

class Raises(logging.Filter):
    def filter(self, record):
        if record.name.startswith(("django_", "django.tasks", "django.dispatch")):
            raise {kind}("the project's own")
        return True

LOGGING = {{
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {{"raises": {{"()": Raises}}}},
    "handlers": {{"console": {{"class": "logging.StreamHandler", "filters": ["raises"]}}}},
    "root": {{"handlers": ["console"], "level": "INFO"}},
    "loggers": {{
        name: {{"handlers": ["console"], "level": "DEBUG"}}
        for name in ("django.tasks", "django.dispatch", "django_tasks", "django_loco")
    }},
}}
"""
TASKS = """
from django_loco.tasks import task

@task
def fine(): pass

@task
async def afine(): pass

@task(max_attempts=2, backoff=0)
def fail(): raise ValueError

@task(max_attempts=2, backoff=0)
async def afail(): raise ValueError
"""
ENQUEUE = """
from pages.errors import *
for _ in range(20):
    fine.enqueue(); afine.enqueue(); fail.enqueue(); afail.enqueue()
"""


@pytest.mark.parametrize("kind", ["RuntimeError", "SystemExit"])
def test_it_costs_no_job_and_no_thread(project: Project, kind: str) -> None:
    project.write("pages/errors.py", TASKS)
    project.change("site_settings.py", "DEBUG = True", "DEBUG = True\n" + SETTINGS.format(kind=kind))
    project.shell(ENQUEUE)
    worker = project.start("loco_worker", "--concurrency", "2", "--health-port", str(project.port))

    def counts() -> dict[str, int]:
        with closing(sqlite3.connect(project.folder / "db.sqlite3")) as database:
            return dict(database.execute("SELECT status, COUNT(*) FROM django_loco_job GROUP BY status"))

    wait_until(lambda: counts() == {"FAILED": 40, "SUCCESSFUL": 40}, "all jobs come to their end")
    health = json.loads(get(project.url("_health")))
    assert (health["status"], health["components"]["worker"]["missing"]) == ("ok", 0)
    assert health["components"]["worker"]["running"] == 0
    assert worker.terminate() == 0
