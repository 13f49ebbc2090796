"""Several calls of a task at once."""

from __future__ import annotations

from typing import Any

import pytest

from django_loco.core.compat import BaseTaskBackend
from django_loco.exceptions import LocoConfigurationError
from django_loco.tasks import enqueue_many
from tests.app import tasks


def test_each_form_of_a_call(settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"queue": "memory"}}}
    results = enqueue_many(tasks.add, [(1, 2), {"a": 3, "b": 4}])
    assert [(result.args, result.kwargs) for result in results] == [([1, 2], {}), ([], {"a": 3, "b": 4})]
    assert [result.args for result in enqueue_many(tasks.echo, ["text"])] == [["text"]]


def test_a_backend_that_cannot_do_it(settings: Any) -> None:
    name = f"{BaseTaskBackend.__module__.rpartition('.')[0]}.dummy.DummyBackend"
    settings.TASKS = {"default": {"BACKEND": name}}
    with pytest.raises(LocoConfigurationError, match=rf"needs a task on django_loco\.backend.*{name}"):
        enqueue_many(tasks.add, [(1, 2)])
