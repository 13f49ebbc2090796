"""A small Django project in a folder of its own, for tests that change its code, its settings or its port."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Self

from tests.processes import ROOT, SECONDS, Process, close_all, free_port
from tests.warm_python import warm_python

FILES = {
    "manage.py": """
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
execute_from_command_line(sys.argv)
""",
    "site_settings.py": """
import json, os
from pathlib import Path
BASE_DIR = Path(__file__).parent
SECRET_KEY = "for tests only"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "pages.urls"
INSTALLED_APPS = ["django_loco", "pages"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
WORKER_MODE = "BackgroundQueue"
TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend", "QUEUES": ["default", "emails"]}}
globals().update(json.loads(os.environ.get("SITE_SETTINGS", "{}")))
""",
    "pages/__init__.py": "",
    "pages/steps.py": """
import os, time
from pathlib import Path
FOLDER = Path(__file__).parents[1]

def say(text):
    os.write(1, f"{text}\\n".encode())  # at once, whatever other threads write

def wait_for_file(name):
    until = time.monotonic() + 60
    while not (FOLDER / name).exists() and time.monotonic() < until:
        time.sleep(0.02)
""",
    "pages/urls.py": """
from django.http import HttpResponse
from django.urls import path
from pages.steps import say, wait_for_file
from pages.tasks import work

def slow(request, gate):
    say(f"request waits for {gate}")
    wait_for_file(gate)
    return HttpResponse("late answer")

def enqueue(request, name):
    work.enqueue(name)
    return HttpResponse("enqueued")

urlpatterns = [
    path("", lambda request: HttpResponse("version 1")),
    path("slow/<gate>", slow),
    path("enqueue/<name>", enqueue),
]
""",
    "pages/tasks.py": """
from django_loco.tasks import task
from pages.steps import say, wait_for_file

@task
def work(name):
    say(f"job {name} begins")
    wait_for_file(name)
    say(f"job {name} ends")
""",
    "pages/components.py": """
from django_loco.component import Component

class Failing(Component):
    name = "failing"
    def start(self): raise OSError("no network")
    def quiet(self): pass
    def stop(self, deadline): pass
    def join(self, timeout=None): return True
    is_alive = False
""",
    "pages/apps.py": """
from django.apps import AppConfig

class PagesConfig(AppConfig):
    name = "pages"

    def ready(self):
        import pages.hooks
""",
    "pages/hooks.py": """
import os
from django_loco import shutdown
from pages.steps import say, wait_for_file

if os.environ.get("SITE_HOOKS"):
    @shutdown.before_server_shutdown
    def before(context):
        say(f"hook before, because of {context.reason}")

    @shutdown.during_server_shutdown
    async def during(context):
        say(f"hook during, beside {sorted(component.name for component in context.components)}")

    @shutdown.after_server_shutdown
    def after(context):
        say("hook after")

    shutdown.track("resource", lambda: say("resource closed"))

if os.environ.get("SITE_STUCK_HOOK"):
    @shutdown.after_server_shutdown
    def stuck(context):
        say("hook stuck")
        wait_for_file("never")
""",
}


class Answer(threading.Thread):
    """A request on its way: the body of its answer, or what went wrong."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._body: str | Exception = ""
        self.start()

    def run(self) -> None:
        try:
            self._body = get(self._url)
        except OSError as error:
            # Its frames have the response, and through it the socket: in a cycle Python would warn that it is open.
            self._body = error.with_traceback(None)

    def body(self) -> str | Exception:
        self.join(SECONDS)
        return self._body


class Project:
    """The project, and the processes that its commands are. ``settings`` replaces settings; values must be JSON."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.processes: list[Process] = []
        self.settings: dict[str, Any] = {"LOCO": {"SHUTDOWN_TIMEOUT": 20}}
        for name, text in FILES.items():
            self.write(name, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        close_all(self.processes)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def change(self, name: str, before: str, after: str) -> None:
        """Change the code."""
        text = (self.folder / name).read_text()
        assert before in text
        self.write(name, text.replace(before, after))

    def touch_until(self, process: Process, pattern: str, name: str) -> None:
        """Touch a file until ``process`` says ``pattern``: a reloader sees no change before its first look at all."""
        for minutes in range(5):
            later = time.time() + 60 * minutes
            os.utime(self.folder / name, (later, later))
            try:
                process.wait_for(pattern, timeout=SECONDS / 4)
                return
            except AssertionError:
                if not process.is_running:
                    raise
        process.wait_for(pattern, timeout=0)

    def open_gate(self, name: str) -> None:
        """Let the job or request go on that waits for ``name``."""
        (self.folder / name).touch()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        return os.environ | {
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            # Compiled code counts as up to date while size and second of the last change are the same.
            "PYTHONDONTWRITEBYTECODE": "1",
            "SITE_SETTINGS": json.dumps(self.settings),
        }

    def command_line(self, *arguments: str) -> list[str]:
        """Return what starts a command of the project. Workers do not reload, unless they are asked to."""
        more = ("--noreload",) if {"loco_worker", "loco_scheduler"} & {*arguments} else ()
        if "--reload" in arguments:
            arguments, more = tuple(word for word in arguments if word != "--reload"), ()
        return [sys.executable, str(self.folder / "manage.py"), *arguments, *more]

    def start(self, *arguments: str, **environment: str) -> Process:
        """Start a command of the project; it is killed, children and all, at the end of the test."""
        process = Process(self.command_line(*arguments), self.environment | environment)
        self.processes.append(process)
        return process

    def manage(self, *arguments: str, code: int = 0) -> str:
        """Run a command to its end and return its output."""
        process = self.start(*arguments)
        assert process.wait() == code, process.output
        return process.output

    def answer(self, *arguments: str, code: int = 0) -> str:
        """Run a command of which only the output and the exit code are looked at; return the output."""
        ended, output = warm_python.run(self.command_line(*arguments)[1:], self.environment, SECONDS)
        assert ended == code, f"{arguments} ended with {ended}:\n{output}"
        return output

    def shell(self, code: str) -> str:
        """Run Python ``code`` in the project; return what it prints. ``manage`` starts a process as users do."""
        return self.answer("shell", "--verbosity", "0", "--command", code)

    def migrate(self) -> None:
        self.answer("migrate", "--verbosity", "0")

    def serve(self, *arguments: str, **environment: str) -> Process:
        """Start ``loco_start`` on the project's port and wait until it serves."""
        process = self.start("loco_start", *arguments, str(self.port), **environment)
        process.wait_for(r"stop +Ctrl-C")
        return process

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def enqueue(self, name: str) -> None:
        """Enqueue a job that runs until ``open_gate(name)``, by a request."""
        assert get(self.url(f"enqueue/{name}")) == "enqueued"

    def ask_slowly(self, process: Process, gate: str) -> Answer:
        """Send a request that is answered after ``open_gate(gate)``; it is in flight when this returns."""
        answer = Answer(self.url(f"slow/{gate}"))
        process.wait_for(f"request waits for {gate}")
        return answer


def get(url: str, patience: float = SECONDS) -> str:
    """Read a page; by default through a reload, for which the port is closed for a moment."""
    deadline = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(url, timeout=SECONDS) as response:  # noqa: S310 (the test's own URL)
                assert isinstance(response, HTTPResponse)
                return response.read().decode()
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def child_of(process: Process) -> int:
    """Return the id of the only child process of ``process``."""
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(child)


def is_running(pid: int) -> bool:
    """Whether there is such a process, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until, f"no {what} within {SECONDS} s"
        threading.Event().wait(0.02)
