"""What ``manage.py check`` says, as its users see it."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from django_loco.scheduler import Problem
from django_loco.scheduler.registry import default

LOCO = "django_loco.backend.LocoBackend"


def found(**settings):
    """Return ``{id: message}`` of what the checks find, deployment ones too."""
    with override_settings(**settings):
        return {
            message.id: f"{message.msg} {message.hint or ''}"
            for message in run_checks(tags=["loco"], include_deployment_checks=True)
        }


@pytest.fixture(autouse=True)
def _database(db):
    """Some checks ask the database for its mode."""


def test_good_settings_are_silent():
    assert found() == {}


def test_a_key_that_does_not_exist():
    assert "LOCO['NUM_WORKRES'] is unknown. Did you mean 'NUM_WORKERS'?" in found(LOCO={"NUM_WORKRES": 1})["loco.E001"]


def test_a_mode_that_does_not_exist():
    assert "Did you mean 'BackgroundQueue'?" in found(WORKER_MODE="BackgroundQeue")["loco.E001"]


@pytest.mark.parametrize(
    ("queue", "remedy"),
    [("databse", "Did you mean 'database'?"), ("shop.queues.Fast", "cannot be imported: No module named 'shop'")],
)
def test_a_queue_that_cannot_be_imported(queue, remedy):
    messages = found(TASKS={"default": {"BACKEND": LOCO, "OPTIONS": {"queue": queue}}})
    assert f"TASKS['default']['OPTIONS']['queue'] is {queue!r}" in messages["loco.E002"]
    assert remedy in messages["loco.E002"]


def test_the_app_without_its_backend():
    messages = found(TASKS={"default": {"BACKEND": "tests.app.backends.OtherBackend"}})
    assert "no backend in TASKS is one of its own" in messages["loco.W001"]


def test_jobs_in_memory_in_production():
    assert "kill -9 loses them" in found(WORKER_MODE="BackgroundAsync")["loco.W004"]


def test_a_component_that_cannot_be_imported():
    assert "cannot be imported" in found(LOCO={"COMPONENTS": ["shop.consumers.Feed"]})["loco.E004"]


def test_a_schedule_that_is_wrong_and_a_module_of_tasks_that_may_have_some(monkeypatch):
    problems = [
        Problem("Schedule 'digest': at is 75.", "Correct it.", "digest"),
        Problem("shop.tasks cannot be imported.", "Correct it.", "shop.tasks", is_certain=False),
    ]
    monkeypatch.setattr(default, "problems", lambda: problems)
    assert found() == {
        "loco.E003": "Schedule 'digest': at is 75. Correct it.",
        "loco.W007": "shop.tasks cannot be imported. Correct it.",
    }
