"""Where jobs of tests are."""

from __future__ import annotations

import pytest

from django_loco.core.compat import BaseTaskBackend
from django_loco.exceptions import LocoConfigurationError
from django_loco.testing import all_enqueued, assert_enqueued, drain, refute_enqueued
from django_loco.testing.environment import loco_queues, require_queue

from . import tasks

DUMMY = f"{BaseTaskBackend.__module__.rpartition('.')[0]}.dummy.DummyBackend"

LOOKS = pytest.mark.parametrize(
    "function", [all_enqueued, drain, lambda: assert_enqueued(tasks.send), lambda: refute_enqueued(tasks.send)]
)


@LOOKS
def test_while_workers_run_there_are_no_jobs_to_look_at(settings, function):
    settings.LOCO = {"TESTING": "live"}
    with pytest.raises(LocoConfigurationError, match="'live'"):
        function()


@LOOKS
def test_jobs_that_run_inside_enqueue_do_not_wait(settings, function):
    settings.LOCO = {"TESTING": "inline"}
    with pytest.raises(LocoConfigurationError, match=r"LOCO\['TESTING'\] is 'inline': enqueue\(\) runs .* 'manual'"):
        function()
    settings.LOCO = {"TESTING": "manual"}
    settings.WORKER_MODE = "ForegroundBlocking"
    with pytest.raises(LocoConfigurationError, match="because WORKER_MODE is 'ForegroundBlocking'"):
        function()


@LOOKS
def test_without_a_backend_of_ours_no_job_waits(settings, function):
    settings.TASKS = {"default": {"BACKEND": DUMMY}}
    with pytest.raises(LocoConfigurationError, match=r"no alias in TASKS .*django_loco.backend.LocoBackend"):
        function()


def test_one_alias_of_several_runs_jobs_inside_enqueue(settings):
    at_once = {**settings.TASKS["default"], "OPTIONS": {"mode": "ForegroundBlocking"}}
    settings.TASKS = {**settings.TASKS, "at_once": at_once}
    tasks.send.enqueue(1)
    task = tasks.send.using(backend="at_once")
    assert task.enqueue(2).status == "SUCCESSFUL"
    for function in (assert_enqueued, refute_enqueued, all_enqueued):
        with pytest.raises(LocoConfigurationError, match=r"TASKS\['at_once'\]\['OPTIONS'\]\['mode'\] is 'Foreg"):
            function(task)
    assert_enqueued(tasks.send)
    assert [result.args for result in all_enqueued()] == [[1]]
    assert drain() == {"successful": 1}


def test_the_queues_of_the_project():
    assert [(queue.alias, queue.database) for queue in loco_queues()] == [("default", None)]


def test_backends_of_django_have_no_queue(settings):
    settings.TASKS = {**settings.TASKS, "other": {"BACKEND": DUMMY, "QUEUES": ["theirs"]}}
    assert [queue.alias for queue in loco_queues()] == ["default"]
    require_queue("emails")
    with pytest.raises(LocoConfigurationError):
        require_queue("theirs")
