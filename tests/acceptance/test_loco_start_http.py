"""``loco_start --http``: production servers that start and end like the development server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time

import pytest

from django_loco.process.signals.escalation import ONE_SIGNAL_SECONDS
from django_loco.shutdown import CLEAN, FORCED
from tests.acceptance.project import child_of, get, is_running, wait_until
from tests.acceptance.servers import said, to_all, to_first

TERM, INT = signal.SIGTERM, signal.SIGINT
BOTH = pytest.mark.parametrize("http", ["gunicorn", "uvicorn"])
ALL = ("--worker", "--scheduler", "--noreload")


@pytest.mark.parametrize(
    ("http", "send", "number", "options"),
    [
        ("gunicorn", to_first, TERM, ("--", "--threads", "4")),
        ("gunicorn", to_all, INT, ("--", "-k", "asgi")),
        ("uvicorn", to_all, INT, ()),
    ],
)
def test_one_signal_lets_jobs_and_requests_end(served, http, send, number, options):
    process = served.start("loco_start", "--http", http, *ALL, str(served.port), *options, SITE_HOOKS="1")
    process.wait_for(r"^  web +http://127.0.0.1:\d+/? +" + http)
    process.wait_for(r"^  worker +BackgroundQueue, SQLite; 10 threads")
    process.wait_for("stop +Ctrl-C")
    served.begin(process)
    answer = served.ask_slowly(process, "request")
    send(process, number)
    process.wait_for("hook during")
    served.open_gate("request")
    assert answer.body() == "late answer"
    served.open_gate("job")
    assert process.wait() == CLEAN
    assert [line.partition(",")[0] for line in said(process, "job", "hook", "resource")] == [
        "job job begins",
        "hook before",
        "hook during",
        "job job ends",
        "resource closed",
        "hook after",
    ]
    odd = [line for line in process.lines if not re.match(r"\[\w+\] +\[\d\d/|  \w+ |job|hook|res|req|dj|$", line)]
    assert not odd, "lines of another format"


@BOTH
def test_a_second_signal_hands_jobs_back_and_leaves_requests(served, http):
    options = ("--", "--threads", "4") if http == "gunicorn" else ()
    process = served.start("loco_start", "--http", http, *ALL, str(served.port), *options)
    process.wait_for("stop +Ctrl-C")
    served.begin(process)
    served.ask_slowly(process, "request")
    process.signal(TERM)
    process.wait_for("Stopping")
    time.sleep(2 * ONE_SIGNAL_SECONDS)  # sooner it would be the same wish
    process.signal(INT)
    assert process.wait() == FORCED
    assert "Second signal" in process.output
    served.open_gate("job")
    served.serve("--worker", "--noreload").wait_for("job job ends")


def test_a_process_of_gunicorn_that_is_killed_at_the_end_has_not_ended_well(served):
    process = served.start("loco_start", "--http", "gunicorn", *ALL, str(served.port), "--", "--graceful-timeout", "1")
    process.wait_for("stop +Ctrl-C")
    stuck = child_of(process)
    os.kill(stuck, signal.SIGSTOP)  # it cannot tell what it had to leave
    assert process.terminate() == FORCED
    assert not is_running(stuck)


@pytest.mark.parametrize(
    ("http", "settings", "said"),
    [
        (
            "gunicorn",
            {"WSGI_APPLICATION": "nowhere.wsgi.application"},
            "WSGI_APPLICATION is 'nowhere.wsgi.application'",
        ),
        ("uvicorn", {"ASGI_APPLICATION": "nowhere.asgi.application"}, "ASGI_APPLICATION is 'nowhere.asgi.application'"),
    ],
)
def test_an_application_that_cannot_be_imported_is_told(served, http, settings, said):
    served.settings |= settings
    output = served.answer("loco_start", "--http", http, *ALL, str(served.port), code=FORCED)
    assert said in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("http", "flags"), [("gunicorn", ALL), ("uvicorn", ALL), ("uvicorn", ("--worker", "--scheduler"))]
)
def test_with_a_taken_port_nothing_runs(served, http, flags):
    served.open_gate("job")
    with socket.create_server(("127.0.0.1", served.port)):
        output = served.answer("loco_start", "--http", http, *flags, str(served.port), code=FORCED)
    assert str(served.port) in output
    assert "schedules" not in output


def test_options_that_make_no_sense_are_refused_before_anything_runs(served):
    assert "contradict" in served.answer("loco_start", "--http", "gunicorn", "--no-server", "--worker", code=FORCED)


def test_without_the_extra_uvicorn_is_told_to_be_missing(served):
    served.write("uvicorn.py", "raise ModuleNotFoundError('No module named uvicorn', name='uvicorn')")
    output = served.answer("loco_start", "--http", "uvicorn", code=FORCED)
    assert '--http uvicorn needs uvicorn: pip install "django-loco[uvicorn]".' in output


def test_uvicorn_reloads_with_its_worker(served):
    process = served.start("loco_start", "--http", "uvicorn", "--worker", str(served.port))
    process.wait_for("stop +Ctrl-C")
    served.change("pages/urls.py", "version 1", "version 2")
    served.touch_until(process, "Restarted", "pages/urls.py")
    assert get(served.url()) == "version 2"
    assert process.terminate() == CLEAN


def test_gunicorn_keeps_the_configuration_and_hooks_of_the_project(served):
    served.settings["WSGI_APPLICATION"] = "site_wsgi.application"
    served.write(
        "conf.py",
        "from pages.steps import say\nworkers = 2\ndef post_worker_init(worker): say('theirs, too')\n",
    )
    process = served.start(
        "loco_start", "--http", "gunicorn", str(served.port), *ALL, "--", "-c", str(served.folder / "conf.py")
    )
    process.wait_for("[0-9] schedules", count=2)
    process.wait_for("theirs, too", count=2)
    assert process.terminate() == CLEAN


def test_gunicorn_starts_itself_anew_by_usr2(served):
    process = served.start(
        "loco_start", "--http", "gunicorn", str(served.port), *ALL, "--", "-p", str(served.folder / "pid")
    )
    process.wait_for("[0-9] schedules")
    process.signal(signal.SIGUSR2)
    process.wait_for("[0-9] schedules", count=2)
    second = int((served.folder / "pid.2").read_text())
    process.signal(TERM)
    wait_until(lambda: not process.is_running, "end of the first gunicorn")
    assert get(served.url()) == "version 1"
    os.kill(second, TERM)
    wait_until(lambda: not is_running(second), "end of the second gunicorn")


def test_gunicorns_lines_in_json(served):
    served.settings["LOCO"] = {"LOG_FORMAT": "json"}
    process = served.start("loco_start", "--http", "gunicorn", str(served.port), *ALL)
    process.wait_for('"message": "Started. web: http')
    assert process.terminate() == CLEAN
    lines = [json.loads(line) for line in process.lines]
    assert {"gunicorn.error", "django_loco.shutdown"} < {line["logger"] for line in lines}
