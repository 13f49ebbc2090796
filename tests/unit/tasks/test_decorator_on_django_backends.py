"""Tasks with our options on Django's own backends for tests."""

from __future__ import annotations

import sys
from datetime import timedelta
from importlib import import_module

import django
import pytest

from django_loco.core.compat import BaseTaskBackend, task_backends
from django_loco.tasks import LocoTask
from django_loco.tasks import task as our_task

PACKAGE = BaseTaskBackend.__module__.rpartition(".")[0]
OPTIONS = {"max_attempts": 5, "backoff": 60, "timeout": 30, "tags": ["email"], "description": "adds"}


#: On Django 6.0 its own decorator takes no options of backends.
DECORATORS = ["ours"] if (6, 0) <= django.VERSION < (6, 1) else ["ours", "django"]


def add(a, b):
    return a + b


async def aadd(a, b):
    return a + b


@pytest.fixture(params=["dummy", "immediate"])
def backend(request, settings):
    name = f"{PACKAGE}.{request.param}.{request.param.title()}Backend"
    settings.TASKS = {"default": {"BACKEND": name, "QUEUES": ["default", "emails"]}}
    return request.param


@pytest.fixture(params=DECORATORS)
def declare(request, monkeypatch):
    """A function that decorates another one and puts it in its place, as a module of tasks does."""
    decorator = our_task if request.param == "ours" else import_module(PACKAGE.partition(".backends")[0]).task

    def declare(function, **options):
        declared = decorator(**options)(function)
        monkeypatch.setattr(sys.modules[__name__], function.__name__, declared)
        return declared

    return declare


@pytest.mark.parametrize("function", [add, aadd])
def test_they_are_declared_and_enqueued(backend, declare, function):
    declared = declare(function, **OPTIONS, queue_name="emails", priority=3)
    assert isinstance(declared, LocoTask)
    assert (declared.max_attempts, declared.backoff, declared.tags) == (5, 60, ("email",))
    result = declared.enqueue(1, b=2)
    assert result.status == ("READY" if backend == "dummy" else "SUCCESSFUL")
    if backend == "immediate":
        assert result.return_value == 3
    else:
        assert task_backends["default"].results[-1].args in ([1], (1,))


def test_options_of_a_call(backend, declare):
    declared = declare(add, **OPTIONS).using(max_attempts=2, metadata={"a": 1}, tags=["b"])
    assert declared.enqueue(1, 2).status in ("READY", "SUCCESSFUL")


def test_a_delay(backend, declare):
    declared = declare(add).using(run_after=timedelta(hours=1))
    assert declared.enqueue(1, 2).status in ("READY", "SUCCESSFUL")


def test_a_wrong_option_is_an_error_as_ever(backend, declare):
    with pytest.raises(TypeError, match="max_attempts"):
        declare(add, max_attempt=5)
