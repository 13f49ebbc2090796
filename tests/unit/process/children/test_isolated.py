"""How isolated workers are started: as another process of this very site."""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace

import pytest
from django.conf import settings as django_settings
from django.test import override_settings

from django_loco.process.children import isolated
from django_loco.process.children.identity import IDENTITY_VARIABLE, ProcessIdentity
from django_loco.process.children.isolated import isolation
from django_loco.queues import Claim

CLAIM = Claim(worker_id="w", lease=60, threads=1, coroutines=1, queues=("a,b",), tags=(), suspects=True)


@pytest.fixture
def started(monkeypatch):
    """What would be started: (identity, command, environment, what is left out of it)."""
    monkeypatch.setattr(isolated.running_tests, "is_on", lambda: False)
    calls = []
    monkeypatch.setattr(isolated, "start", lambda *given, without: calls.append((*given, without)) or SimpleNamespace())
    return calls


def test_where_another_process_would_be_another_site_none_is_started(monkeypatch):
    assert isolation("default", 25, is_command=True) is None, "Django's test environment"
    monkeypatch.setattr(isolated.running_tests, "is_on", lambda: False)
    assert isolation("default", 25, is_command=True) is not None
    with override_settings(DEBUG=True):
        assert isolation("default", 25, is_command=True) is None, "settings that no module has"


def test_a_command_starts_it_as_it_was_started_itself(started, monkeypatch):
    monkeypatch.setattr(isolated.autoreload, "get_child_arguments", lambda: ["py", "-Wd", "manage.py", *sys.argv[1:]])
    monkeypatch.setattr(sys, "argv", ["manage.py", "loco_worker", "--processes", "2"])
    isolation("fast", 25, is_command=True)(CLAIM)
    [(_, command, environment, without)] = started
    assert command == ["py", "-Wd", "manage.py", "loco_worker", "--backend=fast"]
    assert environment["DJANGO_SETTINGS_MODULE"] == django_settings.SETTINGS_MODULE
    assert "RUN_MAIN" in without


def test_a_server_starts_it_by_django_with_its_own_modules(started, monkeypatch):
    monkeypatch.setattr(sys, "path", ["/site", "", "/lib"])
    isolation("fast", 25, is_command=False)(CLAIM)
    [(identity, command, environment, _)] = started
    assert command[0] == sys.executable
    assert command[-4:] == ["-m", "django", "loco_worker", "--backend=fast"]
    assert environment["PYTHONPATH"] == f"/site{os.pathsep}/lib"
    assert (identity.is_isolated, identity.queues, identity.tags) == (True, ("a,b",), ())


@pytest.mark.parametrize("before", [None, "/before"])
def test_its_jobs_find_the_python_path_that_there_was(monkeypatch, before):
    monkeypatch.setenv("PYTHONPATH", "/site:/lib")
    identity = ProcessIdentity(number=0, key="k", is_isolated=True, python_path=before)
    monkeypatch.setenv(IDENTITY_VARIABLE, json.loads(json.dumps(identity.variable[IDENTITY_VARIABLE])))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    found = ProcessIdentity.of_process()
    assert found is not None
    assert found.is_isolated
    assert os.environ.get("PYTHONPATH") == before
