"""Values that nobody should have entered, by the form or past it by SQL, break nothing for anybody else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from django_loco.exceptions import LocoConfigurationError
from django_loco.models import Schedule, ScheduleState
from django_loco.scheduler import Registry
from django_loco.scheduler.api.control import current
from django_loco.scheduler.dispatch.due_heap import DueHeap
from django_loco.scheduler.sources.database import ScheduleReader, pauses
from tests.integration.scheduler import test_admin
from tests.integration.scheduler.test_admin import ADD, ALL, LIST, PREVIEW, SEND, TICK, client_of, form, text
from tests.unit.scheduler.tasks import tick

pytestmark = pytest.mark.django_db

code = test_admin.code

ON_SQLITE = connection.vendor == "sqlite"
HUGE = "9" * 400
WORDS = ["\x00", "\u2028\x1b[31m", "ü" * 10_000, "", "%s {{ 7 }}"]
NUMBERS = ["1e12", "1e308", "nan", HUGE, "9" * 19, "0"]
DAYS = ["9999-12-31", "0001-01-01", "1000-01-01", "10000-01-01", "2026-02-30", "x"]
JSONS = [
    '["\\ud800"]',
    '{"\\ud800": 1}',
    '["\\u0000"]',
    "[" * 100_000,
    "[" * 100_000 + "]" * 100_000,
    '{"a":' * 5_000 + "1" + "}" * 5_000,
    f"[{'9' * 5_000}]",
    "[1e400]",
    "[NaN]",
    "null",
    "7",
    f'["{"x" * 1_000_000}"]',
]
FORMS = [
    *((name, WORDS) for name in ("name", "description", "schedule", "after", "timezone", "queue", "tags")),
    *((name, WORDS) for name in ("run_0", "run_1", "misfire")),
    *((name, NUMBERS) for name in ("jitter", "grace", "cap", "priority", "max_attempts", "timeout", "expires")),
    *((name, DAYS) for name in ("at_0", "start_0", "end_0")),
    *((name, JSONS) for name in ("args", "kwargs")),
    ("schedule", ["every 99999999999999999999 weeks", "0 0 29 2 * 9999", "* " * 10_000, "every " * 20 + "hour"]),
    ("timezone", ["../../etc/passwd"]),
]
WHEN = ("schedule", "at_0", "after", "timezone", "start_0", "end_0", "jitter")
MOMENTS = ["9999-12-31 23:59:59", "0001-01-01 00:00:00", "infinity", "x", "99999-01-01", b"\xff", 7]
REALS = [1e12, 1e308, float("inf"), float("nan"), -1, "x", b"\xff"]
COLUMNS = [
    *((name, MOMENTS) for name in ("at", "start", "end", "changed_at")),
    *((name, REALS) for name in ("jitter", "cap", "timeout", "expires", "revision")),
    *((name, [*JSONS, "x", "", b"\xff", 7]) for name in ("args", "kwargs", "tags")),
    *((name, [*WORDS, b"\xff", 7]) for name in ("name", "run", "schedule", "after", "timezone")),
    ("name", ["x" * 10_000]),
    ("schedule", ["* " * 10_000, "0 0 29 2 * 9999", "every 99999999999999999999 weeks"]),
]


@pytest.fixture(autouse=True)
def good(settings):
    settings.TIME_ZONE = "America/Los_Angeles"  # where the calendar ends before UTC's does
    Schedule.objects.create(name="good", run=TICK, schedule="every 15 minutes")


@pytest.fixture
def client():
    return client_of(is_superuser=True)


def all_is_well(client):
    """All pages answer and show the good schedule, and a scheduler has it."""
    for page in (LIST, ALL):
        shown = text(client.get(page))
        assert "good" in shown
        assert "every 15 minutes" in shown
    entries = current().registry.entries()
    assert "good" in {entry.name for entry in entries}
    due_heap = DueHeap(entries, timezone.now())
    assert due_heap.next_at is not None


@pytest.mark.parametrize(("field", "values"), FORMS)
def test_whatever_is_entered(client, field, values):
    for value in values:
        moment = {f"{field[:-2]}_1": "23:59:59"} if field in ("at_0", "start_0", "end_0") else {}
        fields = form(**{"run_0": SEND, "args": "[5]"} | {field: value} | moment)
        if field == "at_0":
            fields["schedule"] = ""
        assert client.post(ADD, fields).status_code in (200, 302)
        if field in WHEN and len(value) < 1000:
            assert client.get(PREVIEW, fields).status_code == 200
    all_is_well(client)


@pytest.mark.parametrize(("column", "values"), COLUMNS)
def test_whatever_is_written_by_sql(client, column, values):
    for number, value in enumerate(values):
        row = Schedule.objects.create(name=f"bad{number}", run=TICK, schedule="every hour")
        _write("django_loco_schedule", f'"{column}"', value, f"id = {row.pk}")
    all_is_well(client)
    for pk in Schedule.objects.values_list("pk", flat=True):
        assert client.get(f"{LIST}{pk}/change/").status_code == 200
    assert len(ScheduleReader(Registry().allow_list).read().rows) == Schedule.objects.count()
    Schedule.objects.filter(name="good").update(schedule="every 16 minutes")
    assert "every 16 minutes" in text(client.get(LIST)), "changes are seen beside what cannot be read"
    last = Schedule.objects.values_list("pk", flat=True).last()
    for page in ("history", "delete"):
        assert client.get(f"{LIST}{last}/{page}/").status_code == 200
    picked = list(map(str, Schedule.objects.exclude(name="good").values_list("pk", flat=True)))
    response = client.post(LIST, {"action": "delete_selected", "_selected_action": picked, "post": "yes"})
    assert response.status_code == 302
    assert Schedule.objects.count() == 1


@pytest.mark.skipif(not ON_SQLITE, reason="PostgreSQL refuses it")
def test_text_that_is_none(client):
    for column in ("name", "run", "description", "timezone"):
        row = Schedule.objects.create(name=column, run=TICK, schedule="every hour")
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE django_loco_schedule SET {column} = CAST(X'ff41' AS TEXT) WHERE id = {row.pk}")
    for page in (LIST, ALL):
        assert "every 15 minutes" in text(client.get(page))
    assert len(ScheduleReader(Registry().allow_list).read().rows) == 5


@pytest.mark.parametrize("value", MOMENTS)
def test_a_pause_that_cannot_be_read_is_one(client, value):
    ScheduleState.objects.create(name="other", paused_at=timezone.now())
    ScheduleState.objects.create(name="good", paused_at=timezone.now())
    _write("django_loco_schedule_state", "paused_at", value, "name = 'other'")
    assert pauses()["good"].since is not None
    assert "other" in pauses()
    all_is_well(client)


def test_a_bad_row_says_that_it_is(client):
    row = Schedule.objects.create(name="bad", run=TICK, schedule="every hour")
    _write("django_loco_schedule", "start", "9999-12-31 23:59:59", f"id = {row.pk}")
    for page in (LIST, ALL):
        assert "it must be in the years 1900 to 2999" in text(client.get(page))
    page = text(client.get(f"{LIST}{row.pk}/change/"))
    assert "Stored values cannot be shown: start." in page
    assert client.post(f"{LIST}{row.pk}/change/", form(name="bad")).status_code == 302
    assert Schedule.objects.get(pk=row.pk).start is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"jitter": 1e12}, "jitter"),
        ({"start": datetime.max.replace(tzinfo=UTC)}, "start"),
        ({"end": datetime.min.replace(tzinfo=UTC)}, "end"),
        ({"args": ["\ud800"]}, "args"),
        ({"kwargs": {"a": "\0"}}, "kwargs"),
        ({"tags": ["x" * 100_001]}, "tags"),
        ({"tags": ["eu,west"]}, "tags"),
        ({"tags": [" eu"]}, "tags"),
        ({"name": " new"}, "name"),
        ({"name": "new "}, "name"),
    ],
)
def test_the_model_refuses_what_the_form_does(fields, field):
    with pytest.raises(ValidationError) as caught:
        Schedule(**{"name": "new", "run": TICK, "schedule": "every hour", **fields}).full_clean()
    assert list(caught.value.error_dict) == [field]


@pytest.mark.parametrize("options", [{"jitter": 1e12}, {"start": "9999-12-31"}, {"end": "0001-01-01"}])
def test_code_is_refused_it_too(options):
    with pytest.raises(LocoConfigurationError, match=next(iter(options))):
        Registry(strict=True).daily(tick, **options)


def _write(table, column, value, where):
    """Write a value past Django, if the database takes it."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET {column} = %s WHERE {where}", [value])
    except (DatabaseError, ValueError, OverflowError):
        pass
