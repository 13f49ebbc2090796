"""What ``loco_doctor`` says about settings: Django's system checks, each by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core import checks
from django.core.checks.registry import registry

from django_loco.queues import Queue
from django_loco.scheduler import Registry
from tests.app import tasks

from ..scheduler.conftest import own_schedules  # noqa: F401 - a fixture
from .conftest import findings, found, problems

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def failing_check() -> Iterator[None]:
    """A check of django-loco's that raises an error."""

    def failing(**kwargs: Any) -> list[checks.CheckMessage]:
        raise RuntimeError("the settings of the shop are broken")

    checks.register(failing, "loco")  # type: ignore[type-var]
    yield
    registry.registered_checks.remove(failing)  # type: ignore[arg-type]


def test_a_mistake_in_the_settings(queue: Queue, settings):
    settings.LOCO = {"NUM_WORKRES": 1}
    wrong = found("loco.E001")
    assert (wrong.level, wrong.text) == ("error", "LOCO['NUM_WORKRES'] is unknown. Did you mean 'NUM_WORKERS'?")
    assert problems() == ["loco.E001"], "nothing else is guessed from settings that are wrong"
    assert {each.id for each in findings() if each.level == "info"} >= {"store.skipped"}


def test_checks_of_stored_rows_are_made(queue: Queue):
    """Those that ``manage.py check`` makes only with ``--database``."""
    from django_loco.models import Schedule  # noqa: PLC0415 - needs the app registry

    Schedule.objects.bulk_create([Schedule(name="odd", run="shop.tasks.none", schedule="every hour")])
    assert "'odd'" in found("loco.W009").text


def test_deployment_checks_of_all_apps_are_made_for_production(queue: Queue, settings):
    assert problems() == []
    production = problems(production=True)
    assert "security.W016" in production
    assert found("servers.stop", production=True).remedy.endswith("at least 31 s.")
    settings.DEBUG = True
    assert "security.W018" in problems(production=True)
    assert problems() == []


def test_a_system_check_that_fails_hides_no_other(queue: Queue, settings, failing_check):
    settings.LOCO = {**settings.LOCO, "NUM_WORKERS": 1_000}
    failed = found("doctor.failed")
    assert failed.level == "error"
    assert failed.text.endswith(".failing failed: RuntimeError: the settings of the shop are broken")
    assert found("loco.W015").level == "warning"


def test_stores_are_not_asked_twice(queue: Queue, monkeypatch, own_schedules: Registry):  # noqa: F811
    """By a deployment check about workers, by the checks of stores, and by those of schedules."""
    asked: list[str] = []
    workers = queue.workers

    def noted() -> Any:
        asked.append("workers")
        return workers()

    monkeypatch.setattr(queue, "workers", noted)
    own_schedules.once(tasks.add, at="2099-12-24 04:00", args=[1, 2], name="party")
    seen = findings(production=True)
    assert [each for each in seen if each.level == "error"] == []
    assert "schedules.scheduler" in [each.id for each in seen]
    assert asked == ["workers"]


def test_an_unused_app(settings, db):
    settings.TASKS = {}
    assert "loco.W001" in problems()
