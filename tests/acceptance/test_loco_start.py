"""``loco_start`` from its first line to its last, in all combinations of parts."""

from __future__ import annotations

import json
import re
import socket

import pytest

from django_loco.shutdown import CLEAN
from tests.acceptance.project import get
from tests.processes import SECONDS, free_port

BANNER = re.compile(r"^  (\w+) +(.*)")


def banner(process) -> dict[str, str]:
    """The rows of the banner."""
    matches = (BANNER.match(line) for line in process.lines)
    return {match[1]: match[2] for match in matches if match}


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ((), {"web": "http", "worker": "none here; jobs wait in SQLite for manage.py loco_worker"}),
        (("--worker",), {"web": "http", "worker": "BackgroundQueue, SQLite; 10 threads, 100 coroutines"}),
        (("--scheduler",), {"web": "http", "worker": "none here", "scheduler": "no schedules in the code"}),
        (("-s",), {"web": "http", "worker": "BackgroundQueue"}),
        (("-a",), {"web": "http", "worker": "BackgroundQueue", "scheduler": "no schedules in the code"}),
        (("--worker=a,b",), {"web": "http", "worker": ".*only jobs tagged a or b"}),
    ],
)
def test_what_runs_and_is_shown(project, arguments, shown):
    process = project.serve("--noreload", *arguments)
    assert get(project.url()) == "version 1"
    rows = banner(process)
    assert set(rows) == set(shown) | {"stop"}
    for name, text in shown.items():
        assert re.match(text, rows[name])
    assert process.terminate() == CLEAN


@pytest.mark.parametrize("arguments", [("--worker",), ("--scheduler",), ("-a",)])
def test_without_a_server_nothing_listens(project, arguments):
    process = project.start("loco_start", "--no-server", "--noreload", *arguments)
    process.wait_for(r"stop +Ctrl-C")
    assert "web" not in banner(process)
    assert process.terminate() == CLEAN


@pytest.mark.parametrize(
    ("mode", "arguments", "shown"),
    [
        ("BackgroundAsync", (), "BackgroundAsync, memory; 10 threads"),
        ("ForegroundBlocking", ("--worker",), r"ForegroundBlocking; jobs run inside enqueue\(\)"),
    ],
)
def test_modes_without_a_queue_of_their_own(project, mode, arguments, shown):
    project.settings |= {"WORKER_MODE": mode}
    process = project.serve("--noreload", *arguments)
    assert re.match(shown, banner(process)["worker"])
    project.open_gate("job")
    project.enqueue("job")
    process.wait_for("job job ends")
    assert process.terminate() == CLEAN


@pytest.mark.parametrize("arguments", [(), ("--noreload",)])
def test_a_port_in_use_ends_it_before_anything_starts(project, arguments):
    with socket.socket() as other:
        other.bind(("127.0.0.1", project.port))
        other.listen()
        process = project.start("loco_start", "--worker", "--scheduler", *arguments, str(project.port))
        assert process.wait() == 1
    assert "That port is already in use." in process.output
    assert banner(process) == {}
    assert "schedules" not in process.output


def test_a_component_that_keeps_failing_leaves_the_site_alone(project):
    project.settings["LOCO"] = {"COMPONENTS": ["pages.components.Failing"]}
    process = project.serve("--worker", "--component", "failing", "--noreload")
    process.wait_for("The failing failed: OSError")
    process.wait_for("The failing is started again", count=2)
    assert process.output.count("Traceback") == 1
    assert get(project.url()) == "version 1"
    project.open_gate("job")
    project.enqueue("job")
    process.wait_for("job job ends")
    assert process.terminate() == CLEAN


def test_missing_tables_keep_the_worker_waiting_and_the_site_serving(project):
    (project.folder / "db.sqlite3").unlink()
    process = project.serve("--worker", "--noreload")
    process.wait_for("run manage.py migrate django_loco")
    assert get(project.url()) == "version 1"
    project.migrate()
    project.open_gate("job")
    project.enqueue("job")
    process.wait_for("job job ends")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--server", "--no-server"), "contradict each other"),
        (("--no-server",), "leaves nothing to run"),
        (("--no-server", "--worker", "8000"), "8000 is an option of the web server"),
        (("no-port",), "not a valid port number"),
        (("--http", "nginx"), "invalid choice"),
    ],
)
def test_nonsense_is_refused(project, arguments, said):
    code = 2 if "--http" in arguments else 1
    assert said in project.answer("loco_start", *arguments, code=code)


def test_an_unsound_project_is_not_served(project):
    project.settings["LOCO"] = {"NUM_WORKER": 3}
    output = project.answer("loco_start", "--worker", "--noreload", str(project.port), code=1)
    assert output.startswith("CommandError: LOCO['NUM_WORKER'] is unknown. Did you mean 'NUM_WORKERS'?")


def test_an_unsound_project_is_watched_until_it_is_sound(project):
    project.change("pages/urls.py", "def slow", "dfe slow")
    process = project.start("loco_start", "--worker", str(project.port))
    process.wait_for("SyntaxError")
    project.change("pages/urls.py", "dfe slow", "def slow")
    project.touch_until(process, "stop +Ctrl-C", "pages/urls.py")
    assert get(project.url()) == "version 1"


def test_lines_say_where_they_come_from(project):
    project.change("pages/tasks.py", "import task", "import task\nimport logging")
    project.change(
        "pages/tasks.py", "    wait_for_file", "    logging.getLogger('shop').warning('note')\n    wait_for_file"
    )
    project.open_gate("job")
    process = project.serve("--worker", "--noreload")
    project.enqueue("job")
    process.wait_for("job job ends")
    process.wait_for(r'^\[web\] +\[.*\] "GET /enqueue/job HTTP/1.1" 200')
    process.wait_for(r"^\[worker\] +\[.*\] work#[0-9a-f]{8}/1 WARNING: note$")
    process.wait_for(r"^\[worker\] +\[.*\] work#[0-9a-f]{8}/1 done in [\d.]+ m?s, waited [\d.]+ m?s$")
    process.terminate()
    process.wait_for(r"^\[loco\] +\[.*\] Stopped$")


def test_lines_in_json(project):
    project.settings["LOCO"] = {"LOG_FORMAT": "json"}
    project.open_gate("job")
    process = project.start("loco_start", "--worker", "--noreload", str(project.port))
    process.wait_for("Started")
    project.enqueue("job")
    process.wait_for("done in")
    assert process.terminate() == CLEAN
    lines = [json.loads(line) for line in process.lines if not line.startswith("job job")]
    assert {line["component"] for line in lines} == {"loco", "web", "worker"}
    (finished,) = [line for line in lines if "done in" in line["message"]]
    assert (finished["task"], finished["attempt"]) == ("pages.tasks.work", 1)


def test_it_builds_on_the_runserver_that_the_project_has(project):
    project.settings |= {
        "INSTALLED_APPS": ["django_loco", "django.contrib.staticfiles", "pages"],
        "STATIC_URL": "static/",
    }
    (project.folder / "pages" / "static").mkdir()
    project.write("pages/static/note.txt", "served by staticfiles")
    process = project.serve("--worker", "--noreload")
    assert get(project.url("static/note.txt")) == "served by staticfiles"
    assert process.terminate() == CLEAN
    assert "--nostatic" in project.answer("loco_start", "--help")


@pytest.mark.parametrize("server", ["runserver", "uvicorn"])
def test_urls_of_static_files_have_the_prefix_of_the_site(project, server):
    """Django keeps ``STATIC_URL`` as the first thread reads it; the system checks do."""
    project.settings |= {
        "INSTALLED_APPS": ["django_loco", "django.contrib.staticfiles", "pages"],
        "STATIC_URL": "static/",
        "FORCE_SCRIPT_NAME": "/shop",
    }
    project.change("pages/urls.py", '"version 1"', "static('note.txt')")
    project.change("pages/urls.py", "import path", "import path\nfrom django.templatetags.static import static")
    process = project.serve("--noreload", "--http", server)
    assert get(project.url()) == "/shop/static/note.txt"
    assert process.terminate() == CLEAN


def test_connections_that_are_kept_open_do_not_hold_up_the_end(project):
    process = project.serve("--worker", "--noreload")
    with socket.create_connection(("127.0.0.1", project.port), SECONDS) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        assert process.terminate() == CLEAN


@pytest.mark.parametrize("flags", [(), ("--noreload",)])
def test_the_site_starts_while_its_database_is_away(project, flags):
    away = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": str(free_port()), "NAME": "site"}
    project.settings["DATABASES"] = {"default": away}
    process = project.serve("--worker", *flags)
    process.wait_for(r"Migrations are not checked: they are in DATABASES\['default'\], which .* Start it, or")
    process.wait_for("cannot fetch and finish jobs for now")
    assert "Traceback" not in process.output
    assert get(project.url()) == "version 1"
    assert process.terminate() == CLEAN


def test_a_wrong_schedule_does_not_keep_the_site_from_starting(project):
    project.settings["LOCO"] = {"SCHEDULE": {"nightly": {"run": "pages.tasks.work", "cron": "99 * * * *"}}}
    process = project.serve("--scheduler", "--noreload")
    process.wait_for("ERROR: Schedule 'nightly': .* Until then this schedule is off; the others run")
    assert banner(process)["scheduler"].endswith("1 more disabled because of errors")
    assert get(project.url()) == "version 1"
    assert process.terminate() == CLEAN
