"""``django_loco.asgi.lifespan`` under servers that are started by their own commands."""

from __future__ import annotations

import signal
import threading
from urllib.error import HTTPError

import pytest

from django_loco.process.signals.escalation import ONE_SIGNAL_SECONDS
from tests.acceptance.project import get
from tests.acceptance.servers import STARTED, ServedProject, said, to_all, to_first
from tests.processes import Process

TERM, INT = signal.SIGTERM, signal.SIGINT
HOOKS = ["hook before", "hook during", "resource closed", "hook after"]


def uvicorn(served: ServedProject, *options: str, **environment: str) -> Process:
    return served.command("uvicorn", "site_lifespan:application", f"--port={served.port}", *options, **environment)


def hypercorn(served: ServedProject, *options: str, **environment: str) -> Process:
    bind = f"--bind=127.0.0.1:{served.port}"
    return served.command("hypercorn", "site_lifespan:application", bind, *options, **environment)


def gunicorn(served: ServedProject, *options: str, **environment: str) -> Process:
    bind = f"--bind=127.0.0.1:{served.port}"
    return served.command(
        "gunicorn", "-k", "asgi", "--no-control-socket", bind, *options, "site_lifespan", **environment
    )


def gunicorn_with_hooks(served: ServedProject, *options: str, **environment: str) -> Process:
    return served.start_gunicorn(*options, **environment)


@pytest.mark.parametrize("serve", [uvicorn, gunicorn_with_hooks])
def test_hooks_beside_tasks_run_also_if_nothing_was_asked_or_done(served, serve):
    hook = "@shutdown.after_server_shutdown\ndef late(context): say('hook of tasks')\n"
    served.change("pages/tasks.py", "@task", f"from django_loco import shutdown\n{hook}\n@task")
    process = serve(served, LOCO_START="--worker")  # a scheduler imports the tasks of all apps
    process.wait_for(STARTED)
    process.terminate()
    assert said(process, "hook") == ["hook of tasks"]


@pytest.mark.parametrize("serve", [uvicorn, gunicorn_with_hooks])
def test_a_site_whose_urls_cannot_be_imported_is_served_with_its_components(served, serve):
    served.change("pages/urls.py", "from django.urls", "import nowhere\nfrom django.urls")
    process = serve(served)
    process.wait_for("ROOT_URLCONF cannot be imported, so requests fail")
    process.wait_for("[0-9] schedules")
    with pytest.raises(HTTPError, match="500") as answer:
        get(served.url())
    answer.value.close()
    process.terminate()


@pytest.mark.parametrize(
    ("serve", "options", "send", "number"),
    [
        (uvicorn, (), to_first, TERM),
        (uvicorn, ("--workers", "2"), to_all, INT),
        (gunicorn, (), to_first, TERM),
    ],
)
def test_one_signal_lets_jobs_and_requests_end(served, serve, options, send, number):
    process = serve(served, *options, SITE_HOOKS="1")
    processes = 2 if "2" in options else 1
    process.wait_for("[0-9] schedules", count=processes)
    served.begin(process)
    answer = served.ask_slowly(process, "request")
    send(process, number)
    process.wait_for("hook during", count=processes)
    served.open_gate("request")
    assert answer.body() == "late answer"
    served.open_gate("job")
    assert process.wait() in (0, -number)  # uvicorn ends by the signal that it got
    hooks = [line.partition(",")[0] for line in said(process, "hook", "resource")]
    assert sorted(hooks) == sorted(HOOKS * processes)
    assert processes > 1 or hooks == HOOKS
    assert said(process, "job") == ["job job begins", "job job ends"]
    assert "Second signal" not in process.output
    assert "Still open at exit" not in process.output


def test_jobs_have_their_time_when_the_server_ends_without_a_signal(served):
    process = hypercorn(served, SITE_HOOKS="1")
    process.wait_for("[0-9] schedules")
    served.begin(process)
    answer = served.ask_slowly(process, "request")
    process.signal(TERM)  # its processes get none from it
    served.open_gate("request")
    assert answer.body() == "late answer"
    process.wait_for("hook during")
    served.open_gate("job")
    assert process.wait() == 0
    assert said(process, "job", "hook", "resource")[-3:] == ["job job ends", "resource closed", "hook after"]


def test_requests_are_accepted_until_the_first_hooks_have_run(served):
    served.change("pages/hooks.py", 'say(f"hook before,', 'wait_for_file("leave"); say(f"hook before,')
    process = uvicorn(served, SITE_HOOKS="1")
    process.wait_for("[0-9] schedules")
    process.signal(TERM)
    process.wait_for(r"Stopping \(SIGTERM\)")
    assert get(served.url()) == "version 1"
    served.open_gate("leave")
    process.wait_for("hook after")
    process.wait()


def test_a_second_ctrl_c_hands_jobs_back_and_leaves_requests(served):
    process = uvicorn(served)
    process.wait_for("[0-9] schedules")
    served.begin(process)
    served.ask_slowly(process, "request")
    process.signal(INT)
    process.wait_for("Stopping")
    threading.Event().wait(2 * ONE_SIGNAL_SECONDS)
    process.signal(INT)
    process.wait_for("Handed back or cut off: 1 by the worker, 1 by the server")
    process.wait_for("Stopped by force")
    served.open_gate("request")  # threads cannot be ended, not by uvicorn either
    process.wait()
    served.open_gate("job")
    served.serve("--worker", "--noreload").wait_for("job job ends")


def test_a_server_without_lifespan_is_told(served):
    process = uvicorn(served, "--lifespan", "off")
    assert get(served.url()) == "version 1"
    assert get(served.url()) == "version 1"
    process.wait_for("This server does not use the ASGI lifespan protocol")
    assert process.output.count("lifespan protocol") == 1
    process.terminate()


def test_what_is_set_wrongly_keeps_the_server_from_starting(served):
    process = uvicorn(served, LOCO_START="--wrker")
    assert process.wait() != 0
    assert "LOCO_START='--wrker': Error: unrecognized arguments: --wrker" in process.output
