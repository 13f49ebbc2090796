"""How ``loco_start`` begins, with gunicorn and without."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from django_loco.process.embedded import FLAGS_VARIABLE, STARTED_VARIABLE
from django_loco.servers.gunicorn.start import MODULE, become


def test_gunicorn_gets_its_arguments_and_the_time_to_stop(monkeypatch, settings):
    settings.LOCO = {"SHUTDOWN_TIMEOUT": 100}
    calls = []
    monkeypatch.setattr(os, "execve", lambda *arguments: calls.append(arguments))
    become(["--threads", "4"], ["--worker"], colour=False)
    [(executable, arguments, environment)] = calls
    assert executable == sys.executable
    assert arguments[1:] == ["-m", MODULE, "--threads", "4"]
    assert environment[FLAGS_VARIABLE] == "--worker"
    assert json.loads(environment[STARTED_VARIABLE])["graceful_timeout"] > 100


@pytest.mark.slow
def test_loco_start_imports_no_gunicorn():
    """It fails in a directory that was deleted."""
    code = (
        "import django, sys; django.setup(); import django_loco.management.commands.loco_start\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'gunicorn'])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]", run.stderr
