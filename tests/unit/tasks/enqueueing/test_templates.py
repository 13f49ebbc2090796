"""A task is checked once for its backend and its settings."""

from __future__ import annotations

from typing import Any

import pytest

from django_loco.core.compat import InvalidTask, task_backends
from django_loco.tasks.enqueueing import templates
from django_loco.tasks.enqueueing.templates import template_of
from tests.app.tasks import add


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(templates, "_templates", {})
    return task_backends["default"]


def test_a_task_is_checked_once(backend: Any, settings: Any) -> None:
    first = template_of(add, backend)
    assert template_of(add, backend) is first
    assert template_of(add.using(priority=1), backend) is not first
    settings.LOCO = {"MAX_ATTEMPTS": 9}
    assert template_of(add, backend) is not first


def test_a_task_whose_jobs_differ_is_not_kept(backend: Any) -> None:
    task = add.using(metadata={"a": 1})
    assert template_of(task, backend) is not template_of(task, backend)
    assert templates._templates == {}


def test_only_so_many_are_kept(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MAX_TEMPLATES", 2)
    tasks = [add.using(priority=number) for number in range(5)]
    for task in tasks:
        template_of(task, backend)
    assert len(templates._templates) == 1


def test_a_task_that_is_refused_is_not_kept(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(task: Any) -> None:
        raise InvalidTask("no")

    monkeypatch.setattr(type(backend), "validate_task", lambda _, task: refuse(task))
    with pytest.raises(InvalidTask, match="no"):
        template_of(add, backend)
    assert templates._templates == {}
