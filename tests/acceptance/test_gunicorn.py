"""gunicorn with a worker and a scheduler inside: real processes, real signals, jobs and requests in flight."""

from __future__ import annotations

import os
import re
import signal
import threading
from urllib.error import HTTPError

import pytest

from django_loco.process.signals.escalation import ONE_SIGNAL_SECONDS
from django_loco.servers.gunicorn.worker import BOOT_ERROR, RECYCLE_SECONDS
from django_loco.shutdown import CLEAN, FORCED, HAND_BACK_SECONDS
from tests.acceptance.project import child_of, get, is_running, wait_until
from tests.acceptance.servers import said, to_all, to_first
from tests.processes import Process

TERM, INT, QUIT, HUP, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGKILL
THREADS = ("--threads", "4")


@pytest.mark.parametrize(
    ("send", "number", "app", "options"),
    [
        (to_first, TERM, "site_wsgi", ()),
        (to_all, INT, "site_wsgi", THREADS),
        (to_all, TERM, "site_asgi", ("-k", "asgi")),
        (to_first, QUIT, "site_lifespan", ("-k", "asgi")),
    ],
)
def test_one_signal_lets_jobs_and_requests_end(served, send, number, app, options):
    process = served.gunicorn(*options, app=app, SITE_HOOKS="1")
    served.begin(process)
    answer = served.ask_slowly(process, "request")
    send(process, number)
    process.wait_for("hook during")
    served.open_gate("request")
    assert answer.body() == "late answer"
    served.open_gate("job")
    assert process.wait() == CLEAN
    # The processes get the master's SIGTERM and the terminal's signal in any order.
    assert [re.sub("SIG(INT|TERM)$", "it", line) for line in said(process, "job", "hook", "resource")] == [
        "job job begins",
        "hook before, because of it",
        "hook during, beside ['scheduler', 'worker']",
        "job job ends",
        "resource closed",
        "hook after",
    ]
    assert "Second signal" not in process.output


def test_requests_are_accepted_until_the_first_hooks_have_run(served):
    served.change("pages/hooks.py", 'say(f"hook before,', 'wait_for_file("leave"); say(f"hook before,')
    process = served.gunicorn(SITE_HOOKS="1")
    process.signal(TERM)
    process.wait_for("Stopping")
    assert get(served.url()) == "version 1"
    served.open_gate("leave")
    assert process.wait() == CLEAN


@pytest.mark.parametrize("options", [THREADS, ()], ids=["gthread", "sync"])
def test_a_second_ctrl_c_hands_jobs_back_and_leaves_requests(served, options):
    process = served.gunicorn(*options)
    served.begin(process)
    answer = served.ask_slowly(process, "request")
    to_all(process, INT)
    process.wait_for("Stopping")
    threading.Event().wait(2 * ONE_SIGNAL_SECONDS)
    to_all(process, INT)
    assert process.wait() == FORCED
    assert "Second signal" in process.output
    if isinstance(error := answer.body(), HTTPError):  # gunicorn waits for this client, and kills the process then
        error.close()
    served.open_gate("job")
    served.gunicorn().wait_for("job job ends")


def test_a_job_that_outlasts_gunicorns_patience_is_handed_back(served):
    process = served.gunicorn("--graceful-timeout", "4")
    process.wait_for(r"Requests and jobs have 1 s .* graceful_timeout \(4\)\. Set that to 23 or more")
    served.begin(process)
    process.signal(TERM)
    assert process.wait() == FORCED
    assert "SIGKILL" not in process.output
    assert "Handed back or cut off: 1 by the worker" in process.output


def test_hup_brings_new_code_while_jobs_end(served):
    process = served.gunicorn()
    served.begin(process)
    served.change("pages/urls.py", "version 1", "version 2")
    process.signal(HUP)
    process.wait_for("Stopping")
    wait_until(lambda: get(served.url()) == "version 2", "new version")
    served.open_gate("job")
    process.wait_for(r"\[loco\].* Stopped$")
    assert said(process, "job") == ["job job begins", "job job ends"]
    assert process.terminate() == CLEAN


def test_the_number_of_processes_may_change(served):
    process = served.gunicorn()
    first = child_of(process)
    served.begin(process)
    process.signal(signal.SIGTTIN)
    wait_until(lambda: len(children(process)) == 2, "second process")
    process.wait_for("[0-9] schedules", count=2)
    process.signal(signal.SIGTTOU)
    process.wait_for("Stopping")
    served.open_gate("job")
    wait_until(lambda: not is_running(first), "end of the first process")
    assert said(process, "job") == ["job job begins", "job job ends"]
    assert get(served.url()) == "version 1"
    assert process.terminate() == CLEAN


def test_usr2_starts_a_second_gunicorn(served):
    process = served.gunicorn("-p", str(served.folder / "pid"))
    served.begin(process)
    process.signal(signal.SIGUSR2)
    process.wait_for("[0-9] schedules", count=2)
    second = int((served.folder / "pid.2").read_text())
    process.signal(TERM)
    served.open_gate("job")
    wait_until(lambda: not process.is_running, "end of the first gunicorn")
    assert get(served.url()) == "version 1"
    os.kill(second, TERM)
    wait_until(lambda: not is_running(second), "end of the second gunicorn")
    assert said(process, "job") == ["job job begins", "job job ends"]


def test_a_killed_process_is_replaced_and_its_jobs_run_again(served):
    served.settings["LOCO"] = {"SHUTDOWN_TIMEOUT": 20, "LEASE": 1}
    process = served.gunicorn()
    served.begin(process)
    os.kill(child_of(process), KILL)
    process.wait_for("job job begins", count=2)
    assert get(served.url()) == "version 1"
    served.open_gate("job")
    process.wait_for("job job ends")
    assert process.terminate() == CLEAN


def test_a_process_that_is_recycled_hands_its_jobs_back(served):
    process = served.gunicorn("--max-requests", "2")
    served.begin(process)
    assert get(served.url()) == "version 1"
    process.wait_for(r"Stopping \(the server ends its process\)")
    process.wait_for("job job begins", count=2)
    served.open_gate("job")
    process.wait_for("job job ends")
    assert "exited with code" not in process.output
    assert process.terminate() == CLEAN


def test_a_process_that_is_recycled_answers_its_requests_first(served):
    process = served.gunicorn("--max-requests", "3", *THREADS)
    served.begin(process)
    answer = served.ask_slowly(process, "request")
    assert get(served.url()) == "version 1"
    process.wait_for(r"Stopping \(the server ends its process\)")
    # Jobs alone would have been handed back by then.
    threading.Event().wait(RECYCLE_SECONDS + HAND_BACK_SECONDS)
    served.open_gate("request")
    assert answer.body() == "late answer"
    process.wait_for("job job begins", count=2)
    served.open_gate("job")
    assert process.terminate() == CLEAN


def test_a_component_that_raises_does_not_touch_the_site(served):
    served.settings["LOCO"] = {"COMPONENTS": ["pages.components.Failing"]}
    process = served.gunicorn(LOCO_START="--all")
    process.wait_for("The failing failed: OSError")
    assert get(served.url()) == "version 1"
    assert process.terminate() == CLEAN


@pytest.mark.extra("sync")
@pytest.mark.parametrize("options", [THREADS, ()], ids=["gthread", "sync"])
def test_with_reload_a_syntax_error_is_shown_until_it_is_corrected(served, options):
    process = served.gunicorn("--reload", *options)
    served.change("pages/hooks.py", "import os\n", "import os(\n")
    served.touch_until(process, "SyntaxError", "pages/hooks.py")
    with pytest.raises(HTTPError, match="500") as shown:
        get(served.url())
    shown.value.close()
    assert "django.setup()" not in process.output
    served.change("pages/hooks.py", "import os(\n", "import os; os.write(1, b'corrected\\n')\n")
    served.touch_until(process, "^corrected", "pages/hooks.py")
    process.wait_for("[0-9] schedules", count=2)
    served.begin(process)
    served.open_gate("job")
    process.wait_for("job job ends")
    assert process.terminate() == CLEAN


def test_several_copies_of_a_preloaded_site_share_nothing_but_the_jobs(served):
    served.write("site_wsgi.py", (served.folder / "site_wsgi.py").read_text() + PRELOADED)
    process = served.gunicorn("--preload", "-w", "2")
    process.wait_for("[0-9] schedules", count=2)
    assert set(said(process, "before a fork")) == {"before a fork the connection is closed"}
    served.begin(process, "first")
    served.begin(process, "second")
    process.signal(TERM)
    process.wait_for("Stopping", count=2)
    served.open_gate("first")
    served.open_gate("second")
    assert process.wait() == CLEAN
    assert said(process, "closed by") == [f"closed by {process.pid}"]
    assert sorted(said(process, "job")) == [
        "job first begins",
        "job first ends",
        "job second begins",
        "job second ends",
    ]


PRELOADED = """
from django.db import connection
from django_loco import shutdown
from pages.steps import say
shutdown.track("master's", lambda: say(f"closed by {os.getpid()}"))
connection.ensure_connection()
os.register_at_fork(
    before=lambda: say(f"before a fork the connection is {'open' if connection.connection else 'closed'}")
)
"""


@pytest.mark.parametrize(
    ("flags", "loco", "told"),
    [
        ("--workers", {}, "LOCO_START='--workers': Error: unrecognized arguments: --workers"),
        ("--worker", {"NUM_WORKER": 1}, "Did you mean 'NUM_WORKERS'"),
    ],
)
def test_what_is_set_wrongly_is_told(served, flags, loco, told):
    served.settings["LOCO"] = loco
    process = served.start_gunicorn(LOCO_START=flags)
    assert process.wait() == BOOT_ERROR
    assert told in process.output
    assert "Traceback" not in process.output


def test_a_request_that_hangs_costs_no_job(served):
    process = served.gunicorn("--timeout", "1")
    served.begin(process)
    answer = served.ask_slowly(process, "request")
    process.wait_for("WORKER TIMEOUT")
    process.wait_for("job job begins", count=2)
    served.open_gate("job")
    process.wait_for("job job ends")
    assert process.terminate() == CLEAN
    error = answer.body()
    assert isinstance(error, OSError)
    if isinstance(error, HTTPError):
        error.close()


def test_jobs_in_memory_outlive_a_restart(served):
    served.settings |= {"WORKER_MODE": "BackgroundAsync", "LOCO": {"NUM_WORKERS": 1}}
    process = served.gunicorn(LOCO_START="")
    served.begin(process, "first")
    served.enqueue("second")
    process.signal(TERM)
    process.wait_for("Stopping")
    served.open_gate("first")
    assert process.wait() == CLEAN
    assert said(process, "job") == ["job first begins", "job first ends"]
    served.open_gate("second")
    process = served.gunicorn(LOCO_START="")
    process.wait_for("job second ends")
    assert process.terminate() == CLEAN


def children(process: Process) -> list[str]:
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:  # noqa: PTH123
        return file.read().split()
