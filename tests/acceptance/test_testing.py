"""Jobs in the tests of a project: by ``manage.py test`` and by pytest, in each mode, and none of them afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import ON_POSTGRES
from tests.processes import ROOT

from .tested_project import FILES

LEFT = """
from django.db import connection
from shop.models import Item
from django_loco.models import StoredJob
print("left:", [*Item.objects.values_list("name", flat=True)], StoredJob.objects.count())
"""
MANAGE = [sys.executable, "manage.py", "test", "--no-color"]
PLUGIN = ["-p", "no:loco", "-p", "django_loco.pytest_plugin"]
RUNNERS = {
    "manage.py": MANAGE,
    "parallel": [*MANAGE, "--parallel", "2"],
    # Where the package is not installed anew its entry point is missing: the plugin is named instead.
    "pytest": [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PLUGIN],
}
MODES: dict[str, dict[str, Any]] = {
    "memory": {},
    "memory-and-file": {"IN_FILE": not ON_POSTGRES},
    "database": {"WORKER_MODE": "BackgroundQueue"},
    "database-in-file": {"WORKER_MODE": "BackgroundQueue", "IN_FILE": not ON_POSTGRES},
    # Nobody listens there.
    "redis": {
        "WORKER_MODE": "BackgroundQueue",
        "TASKS": {
            "default": {
                "BACKEND": "django_loco.backend.LocoBackend",
                "OPTIONS": {"queue": "redis", "url": "redis://127.0.0.1:1/0"},
            }
        },
    },
}


class Developer:
    """Somebody who runs the tests of the project."""

    def __init__(self, folder: Path, settings: dict[str, Any], files: dict[str, str] = FILES) -> None:
        self.folder = folder
        own = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "SITE_SETTINGS": json.dumps(settings)}
        unwanted = ("DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "COV_CORE_SOURCE")
        self.environment = {name: value for name, value in os.environ.items() if name not in unwanted} | own
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        self.run(sys.executable, "manage.py", "migrate", "--verbosity", "0")

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, text=True, capture_output=True, check=False, timeout=50
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def left(self) -> str:
        return self.run(sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", LEFT)


def database(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return settings with a database of its own, if tests are run on PostgreSQL."""
    if not ON_POSTGRES:
        return {}
    server, name = request.getfixturevalue("postgres"), f"shop_{uuid4().hex}"
    server.create_database(name)
    request.addfinalizer(lambda: server.drop_database(name))
    engine = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": str(server.port)}
    return {"DATABASES": {"default": engine | {"NAME": name, "USER": "loco"}}}


@pytest.mark.parametrize(
    ("mode", "runner"),
    [
        ("memory", "parallel"), ("memory-and-file", "pytest"), ("redis", "manage.py"), ("database-in-file", "parallel"),
        pytest.param("database", "manage.py", marks=pytest.mark.own_database),
    ],
)  # fmt: skip
def test_jobs_stay_in_their_test(request, tmp_path, mode, runner):
    developer = Developer(tmp_path, MODES[mode] | database(request))
    output = developer.run(*RUNNERS[runner])
    assert "OK" in output or " passed" in output
    assert "left: [] 0" in developer.left()
    assert not (tmp_path / "real_mail").exists()
    assert not (tmp_path / ".django-loco").exists()


LIVE = """
import time
from django.test.utils import setup_test_environment, teardown_test_environment
setup_test_environment()
from shop.tasks import slow
for number in range(100):
    slow.enqueue(f"of a test {number}", 1)
time.sleep(0.1)
"""


@pytest.mark.own_database
@pytest.mark.parametrize("end", ["", "teardown_test_environment()\n"], ids=["without", "with"])
def test_the_end_of_a_process_runs_no_job_of_a_test(tmp_path, end):
    developer = Developer(tmp_path, {"LOCO": {"TESTING": "live", "SHUTDOWN_TIMEOUT": 50, "NUM_WORKERS": 2}})
    began = time.monotonic()
    developer.run(sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", LIVE + end)
    assert time.monotonic() - began < 30, "the backlog takes 50 s"
    assert not (tmp_path / ".django-loco").exists()
    assert developer.left().count("of a test") < 50, "those that had begun, as a busy machine may start late to end"
