"""Where jobs of tests are."""

from __future__ import annotations

import pytest

from django_loco.exceptions import LocoConfigurationError
from django_loco.testing import all_enqueued, assert_enqueued, drain, refute_enqueued
from django_loco.testing.environment import loco_queues, require_queue

from . import tasks


@pytest.mark.parametrize(
    "function", [all_enqueued, drain, lambda: assert_enqueued(tasks.send), lambda: refute_enqueued(tasks.send)]
)
def test_while_workers_run_there_are_no_jobs_to_look_at(settings, function):
    settings.LOCO = {"TESTING": "live"}
    with pytest.raises(LocoConfigurationError, match="'live'"):
        function()


def test_the_queues_of_the_project():
    assert [(queue.alias, queue.database) for queue in loco_queues()] == [("default", None)]


def test_backends_of_django_have_no_queue(settings):
    dummy = f"{type(tasks.send).__mro__[2].__module__.partition('.base')[0]}.backends.dummy.DummyBackend"
    settings.TASKS = {**settings.TASKS, "other": {"BACKEND": dummy, "QUEUES": ["theirs"]}}
    assert [queue.alias for queue in loco_queues()] == ["default"]
    require_queue("emails")
    with pytest.raises(LocoConfigurationError):
        require_queue("theirs")
