"""Packages on Django 6 that import the backport of the Tasks framework."""

from __future__ import annotations

import sys
from types import ModuleType

import django
import pytest
from django.dispatch import Signal

from django_loco.core.compat import TaskResultDoesNotExist, task_finished
from django_loco.tasks import backport
from django_loco.worker.execution.announcements import announce
from tests.app import tasks


class TheirDoesNotExist(Exception):
    pass


@pytest.fixture
def signals(monkeypatch):
    """The backport's signals, as somebody has imported them."""
    module = ModuleType("django_tasks.signals")
    for name in backport.SIGNALS:
        vars(module)[name] = Signal()
        vars(module)[f"log_{name}"] = log = lambda **kwargs: pytest.fail("logged twice")
        vars(module)[name].connect(log)
    monkeypatch.setitem(sys.modules, "django_tasks.signals", module)
    return module


def test_without_it_nothing_is_different(monkeypatch):
    for name in ("django_tasks.signals", "django_tasks.exceptions"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert type(backport.not_found("1")) is TaskResultDoesNotExist
    assert backport.with_twin(task_finished) == [task_finished]


def test_where_it_is_all_there_is_nothing_is_doubled():
    if django.VERSION < (6, 0):
        assert type(backport.not_found("1")) is TaskResultDoesNotExist
        assert backport.with_twin(task_finished) == [task_finished]


def test_a_missing_result_is_caught_under_either_name(monkeypatch):
    module = ModuleType("django_tasks.exceptions")
    vars(module)["TaskResultDoesNotExist"] = TheirDoesNotExist
    monkeypatch.setitem(sys.modules, "django_tasks.exceptions", module)
    error = backport.not_found("1")
    assert isinstance(error, TaskResultDoesNotExist)
    assert isinstance(error, TheirDoesNotExist)
    assert error.args == ("1",)


def test_receivers_of_either_signal_are_called_once(signals):
    heard = []

    def ours(**kwargs):
        heard.append("ours")

    def theirs(task_result, **kwargs):
        heard.append(task_result)

    task_finished.connect(ours)
    signals.task_finished.connect(theirs)
    result = Result()
    try:
        announce(task_finished, result)
    finally:
        task_finished.disconnect(ours)
    assert heard == ["ours", result]


class Result:
    """As much of a result as a receiver that only logs wants."""

    task = tasks.add
    id = "1"
    status = "SUCCESSFUL"
