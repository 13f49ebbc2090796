"""Schedules as rows: every change of one is seen by who looks at their version."""

from datetime import UTC, datetime

import pytest

from django_loco.models import Schedule

pytestmark = pytest.mark.django_db
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def row():
    Schedule.objects.create(name="other", run="check", schedule="every hour")
    return Schedule.objects.create(name="nightly", run="check", schedule="at 4:00")


def save(row):
    row.schedule = "at 5:00"
    row.save()


def save_a_field(row):
    row.schedule = "at 5:00"
    row.save(update_fields=["schedule"])


def update(row):
    Schedule.objects.filter(pk=row.pk).update(schedule="at 5:00")


def bulk_update(row):
    row.schedule = "at 5:00"
    Schedule.objects.bulk_update([row], ["schedule"])


def bulk_create(row):
    Schedule.objects.bulk_create([Schedule(name="new", run="check")])


def replace(row):
    row.schedule = "at 5:00"
    Schedule.objects.bulk_create([row], update_conflicts=True, unique_fields=["name"], update_fields=["schedule"])


def update_or_create(row):
    Schedule.objects.update_or_create(name="nightly", defaults={"schedule": "at 5:00"})


def delete(row):
    row.delete()


def delete_and_insert(row):
    row.delete()
    Schedule.objects.create(name="nightly", run="check", schedule="at 4:00")


def change_by_a_clock_that_is_slow(row):
    Schedule.objects.filter(pk=row.pk).update(schedule="at 5:00", changed_at=LONG_AGO)


@pytest.mark.parametrize(
    "change",
    [
        save,
        save_a_field,
        update,
        bulk_update,
        bulk_create,
        replace,
        update_or_create,
        delete,
        delete_and_insert,
        change_by_a_clock_that_is_slow,
    ],
)
def test_a_change_is_seen(row, change):
    before = Schedule.objects.all().version()
    assert Schedule.objects.all().version() == before
    change(row)
    assert Schedule.objects.all().version() != before
    if change is save_a_field:
        row.refresh_from_db()
        assert row.schedule == "at 5:00"


@pytest.mark.parametrize("field", ["description", "priority", "args"])
def test_other_fields_do_not_change_when_its_ticks_began(row, field):
    Schedule.objects.filter(pk=row.pk).update(changed_at=LONG_AGO)
    before = Schedule.objects.all().version()
    setattr(row, field, {"description": "Of each day.", "priority": 5, "args": [5]}[field])
    row.save()
    assert Schedule.objects.get(pk=row.pk).changed_at == LONG_AGO == row.changed_at
    assert Schedule.objects.all().version() != before


@pytest.mark.parametrize("change", [save, save_a_field, update, bulk_update, replace, update_or_create])
def test_a_change_of_the_time_tells_when_its_ticks_began(row, change):
    Schedule.objects.filter(pk=row.pk).update(changed_at=LONG_AGO)
    change(row)
    assert Schedule.objects.get(pk=row.pk).changed_at != LONG_AGO


def test_no_rows_have_a_version():
    assert Schedule.objects.all().version() == (0, None, None, None)
