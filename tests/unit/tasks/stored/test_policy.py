"""The options of a run come from several places."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django_loco.core.job import Job
from django_loco.tasks.stored.policy import policy_of
from tests.app.tasks import add

JOB = Job(task_path=add.module_path, backend="default", arguments="[[1,2],{}]")


def test_the_strongest_place_wins(settings: Any) -> None:
    settings.LOCO = {"MAX_ATTEMPTS": 4}
    assert policy_of(add, JOB).max_attempts == 4
    settings.LOCO = {"MAX_ATTEMPTS": 4, "TASKS": {add.module_path: {"max_attempts": 5}}}
    assert policy_of(add, JOB).max_attempts == 5
    assert policy_of(add, replace(JOB, options={"max_attempts": 7})).max_attempts == 7
    assert policy_of(add.using(timeout=3), JOB).timeout == 3


def test_the_policy_of_a_task_is_made_once_for_its_settings(settings: Any) -> None:
    first = policy_of(add, JOB)
    assert policy_of(add, JOB) is first
    settings.LOCO = {"MAX_ATTEMPTS": 9}
    assert policy_of(add, JOB).max_attempts == 9


def test_a_log_without_a_level_has_that_of_the_settings(settings: Any) -> None:
    settings.LOCO = {}
    assert policy_of(add, replace(JOB, options={"keep_log": True})).keep_log == "INFO"
    settings.LOCO = {"KEEP_LOG": "WARNING"}
    assert policy_of(add, replace(JOB, options={"keep_log": True})).keep_log == "WARNING"


def test_a_back_off_that_is_not_there_is_left_out(caplog: Any) -> None:
    job = replace(JOB, options={"backoff": "shop.tasks.gone", "timeout": 5})
    policy = policy_of(add, job)
    assert (policy.backoff, policy.timeout) == (policy_of(add, JOB).backoff, 5)
    assert "Ignored the back-off of a job of tests.app.tasks.add" in caplog.text
