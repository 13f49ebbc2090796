"""The small project under production servers: each by its own command, with django-loco beside it."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from tests.acceptance.project import Project
from tests.processes import ROOT, Process

FILES = {
    "site_wsgi.py": """
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
application = get_wsgi_application()
""",
    "site_asgi.py": """
import os
from django.core.asgi import get_asgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
application = get_asgi_application()
""",
    "site_lifespan.py": """
from django_loco.asgi import lifespan
from site_asgi import application
application = lifespan(application)
""",
}
STARTED = r"^\[loco\].* Started\. "
#: What is left out of what runs beside a server, unless a test wants it.
BESIDE = "--worker --scheduler"


class ServedProject(Project):
    """The project with a WSGI and an ASGI application, and commands that serve them on its port."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for name, text in FILES.items():
            self.write(name, text)

    def command(self, name: str, *arguments: str, **environment: str) -> Process:
        """Start a server by its own command; it is killed, children and all, at the end of the test."""
        variables = {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{self.folder}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SITE_SETTINGS": json.dumps(self.settings),
            "DJANGO_SETTINGS_MODULE": "site_settings",
            "LOCO_START": BESIDE,
        }
        process = Process([str(Path(sys.executable).with_name(name)), *arguments], os.environ | variables | environment)
        self.processes.append(process)
        return process

    def start_gunicorn(self, *options: str, app: str = "site_wsgi", **environment: str) -> Process:
        """Start gunicorn with django-loco's configuration."""
        common = ("-c", "python:django_loco.servers.gunicorn", "-b", f"127.0.0.1:{self.port}", "--no-control-socket")
        return self.command("gunicorn", *common, *options, app, **environment)

    def gunicorn(self, *options: str, app: str = "site_wsgi", **environment: str) -> Process:
        """Start gunicorn and wait until it serves."""
        process = self.start_gunicorn(*options, app=app, **environment)
        process.wait_for(STARTED)
        return process

    def begin(self, process: Process, job: str = "job") -> None:
        """Have a job that runs until ``open_gate(job)``."""
        self.enqueue(job)
        process.wait_for(f"job {job} begins")


def said(process: Process, *words: str) -> list[str]:
    """Return the lines that begin with one of ``words``, in order."""
    return [line for line in process.lines if line.startswith(words)]


def to_all(process: Process, number: signal.Signals) -> None:
    """Send a signal as a terminal does: to the process and its children."""
    os.killpg(process.pid, number)


def to_first(process: Process, number: signal.Signals) -> None:
    """Send a signal to the process alone."""
    process.signal(number)
