"""How many schedules are on: a number for metrics, by one query."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from django_loco import scheduler
from django_loco.models import Schedule, ScheduleState
from django_loco.scheduler.api import counting
from django_loco.scheduler.api.counting import count_on
from django_loco.scheduler.sources import tables
from tests.unit.scheduler.tasks import tick, tock

pytestmark = pytest.mark.django_db
LONG_AGO, LATER = timezone.now() - timedelta(days=1), timezone.now() + timedelta(days=1)


@pytest.fixture(autouse=True)
def nothing_declared(own_schedules):
    """No schedules of the test site."""


def row(name="row", **given):
    return Schedule.objects.create(**{"name": name, "run": tick.module_path, "schedule": "every hour"} | given)


def counted(queries, number_of_queries=1):
    with queries(number_of_queries):
        return count_on()


def test_nothing_is_scheduled(django_assert_num_queries):
    assert counted(django_assert_num_queries) == 0


def test_schedules_of_code_and_database_are_counted_by_one_query(django_assert_num_queries):
    scheduler.daily(tick, at="04:00", name="nightly")
    for number in range(50):
        row(f"row {number}")
    assert counted(django_assert_num_queries) == 51


def test_paused_ones_are_not_on_until_they_are_resumed(django_assert_num_queries):
    scheduler.daily(tick, at="04:00", name="nightly")
    scheduler.daily(tock, at="05:00", name="early")
    row()
    row("other")
    for name in ("nightly", "row"):
        scheduler.pause(name)
    ScheduleState.objects.create(name="gone", paused_at=timezone.now())
    assert counted(django_assert_num_queries) == 2
    for name in ("nightly", "row"):
        scheduler.resume(name)
    assert counted(django_assert_num_queries) == 4


def test_those_that_are_over_or_wait_for_others_are_not_on(django_assert_num_queries):
    scheduler.once(tick, at=LONG_AGO, name="past")
    scheduler.once(tick, at=LATER, name="future")
    scheduler.after("future", tock, name="afterwards")
    row("past row", schedule="", at=LONG_AGO)
    row("future row", schedule="", at=LATER)
    row("ended", end=LONG_AGO)
    row("ends", end=LATER)
    row("after row", schedule="", after="future row")
    assert counted(django_assert_num_queries) == 3


def test_so_many_of_the_code_are_counted(monkeypatch):
    monkeypatch.setattr(counting, "MAX_COUNTED", 3)
    for number in range(5):
        scheduler.hourly(tick, name=f"hourly {number}")
    row()
    assert count_on() == 4


def test_without_a_database_those_of_the_code_are_counted(django_assert_num_queries, monkeypatch):
    scheduler.daily(tick, at="04:00", name="nightly")
    monkeypatch.setattr(tables, "has_database", lambda: False)
    assert counted(django_assert_num_queries, 0) == 1


@pytest.mark.django_db(transaction=True)
def test_without_the_tables_those_of_the_code_are_counted():
    scheduler.daily(tick, at="04:00", name="nightly")
    with connection.schema_editor() as editor:
        editor.delete_model(ScheduleState)
    try:
        assert count_on() == 1
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(ScheduleState)
