"""Health of real processes, asked while all is well, when a part fails, when a store hangs, at the end."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.error
import urllib.request
from typing import Any

import pytest

from django_loco.shutdown import CLEAN
from tests.acceptance.project import Project, wait_until
from tests.processes import SECONDS, Process, free_port

URLS = """
from django.urls import include, path
from pages.steps import say, wait_for_file
urlpatterns = [path("", include("django_loco.urls.health"))]
"""
HOLD = """
from django_loco import shutdown
from pages.steps import say, wait_for_file

@shutdown.before_server_shutdown(timeout=20)
def hold(context):
    say("hook begins")
    wait_for_file("hook")
"""


def ask(path: str, port: int) -> tuple[int, dict[str, Any]]:
    """Return status and body; 0 if nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_{path}", timeout=SECONDS) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return 0, {}


def status(path: str, port: int) -> int:
    return ask(path, port)[0]


def component(name: str, port: int) -> dict[str, Any]:
    found: dict[str, Any] = ask("health", port)[1].get("components", {}).get(name, {})
    return found


@pytest.fixture
def port() -> int:
    return free_port()


def start(project: Project, *arguments: str) -> Process:
    process = project.start(*arguments)
    process.wait_for(r"stop +Ctrl-C")
    return process


def test_a_worker_tells_of_its_progress_and_of_its_end(project, port):
    project.write("pages/hooks.py", HOLD)
    process = start(project, "loco_worker", "--scheduler", "--health-port", str(port))
    wait_until(lambda: component("worker", port).get("state") == "running", "worker")
    assert (status("ping", port), status("readiness", port)) == (200, 200)
    worker = component("worker", port)
    assert worker["status"] == component("scheduler", port)["status"] == "ok"
    assert worker["last_poll_age"] < SECONDS
    process.signal(signal.SIGTERM)
    process.wait_for("hook begins")
    assert ask("readiness", port) == (503, {"status": "draining", "checks": {}})
    code, body = ask("health", port)
    assert (code, body["draining"], body["components"]["worker"]["status"]) == (200, True, "ok")
    project.open_gate("hook")
    assert process.wait() == CLEAN


def test_a_scheduler_has_health_too_and_gives_its_port_back(project, port):
    for _ in range(2):
        process = start(project, "loco_scheduler", "--health-port", f"127.0.0.1:{port}")
        wait_until(lambda: component("scheduler", port).get("last_pass_age") is not None, "scheduler")
        told = component("scheduler", port)
        assert (told["state"], told["last_pass_age"] < SECONDS) == ("running", True)
        assert process.terminate() == CLEAN


def test_a_component_alone_has_health_too(project, port):
    project.settings["LOCO"] = {"COMPONENTS": ["pages.components.Failing"]}
    start(project, "loco_start", "--no-server", "--noreload", "--component", "failing", "--health-port", str(port))
    wait_until(lambda: component("failing", port).get("state") == "failed", "failure")
    assert (status("health", port), status("ping", port)) == (503, 200)


def test_a_port_that_is_taken_ends_the_worker_before_it_runs(project, port):
    with socket.create_server(("127.0.0.1", port)):
        process = project.start("loco_worker", "--health-port", str(port))
        assert process.wait() == 1
    assert (
        f"--health-port: cannot listen on 127.0.0.1:{port}: Address already in use. Choose another port."
        in process.output
    )
    assert "Traceback" not in process.output
    assert "stop" not in process.output


def test_a_component_that_cannot_start_makes_health_fail_and_the_site_serve(project):
    project.write("pages/urls.py", URLS)
    project.settings["LOCO"] = {"COMPONENTS": ["pages.components.Failing"]}
    project.serve("--all", "--noreload")
    wait_until(lambda: component("failing", project.port).get("state") == "failed", "failure")
    assert status("health", project.port) == 503
    assert component("failing", project.port)["problem"] == "OSError"
    assert component("worker", project.port)["status"] == "ok"
    assert (status("ping", project.port), status("readiness", project.port)) == (200, 200)


def silent_postgres(silent: socket.socket) -> dict[str, Any]:
    """Settings of a database that takes connections and never says a word."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": silent.getsockname()[1],
        "NAME": "site",
        "USER": "site",
        "PASSWORD": "a secret of the site",
    }


def test_a_database_that_hangs_hangs_no_probe(project, port):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        project.settings["DATABASES"] = {"default": silent_postgres(silent)}
        project.start("loco_worker", "--health-port", str(port))
        wait_until(lambda: status("ping", port) == 200, "worker")
        for _ in range(3):
            code, body = ask("readiness", port)
            assert (code, body["checks"]["database"]) == (503, {"status": "away", "reason": "no answer"})
            assert "secret" not in json.dumps(body)
            code, body = ask("health", port)
            assert (code, body["components"]["process"]["state"]) == (200, "starting")
            assert body["queues"]["default"]["oldest_waiting_age"] is None


def test_the_parent_of_several_processes_tells_of_each(project, port):
    process = project.start("loco_worker", "--processes", "2", "--health-port", str(port))
    wait_until(lambda: component("process 2", port).get("state") == "running", "second process")
    first = component("process 1", port)
    wait_until(lambda: component("process 1", port)["last_sign_age"] < first["last_sign_age"] + 1, "sign of progress")
    assert (status("health", port), status("readiness", port), first["pid"] != process.pid) == (200, 200, True)
    os.kill(first["pid"], signal.SIGKILL)
    wait_until(lambda: component("process 1", port)["pid"] not in (None, first["pid"]), "successor")
    assert component("process 1", port)["deaths"] == 1
    assert process.terminate() == CLEAN
