"""``manage.py loco_import``: schedules of other systems become rows, from tables and a Redis as these write them."""

from __future__ import annotations

import io
import json
import pickle
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings

from django_loco import scheduler
from django_loco.models import Schedule
from django_loco.scheduler import Registry
from django_loco.scheduler.registry import default
from tests.app import tasks
from tests.redis_server import RedisServer

from ..scheduler.conftest import own_schedules  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True)
ADD, ECHO = tasks.add.module_path, tasks.echo.module_path
#: The columns that django-celery-beat 2.9 and Django Q2 1.11 have.
TABLES = {
    "django_celery_beat_periodictask": "id, name, task, args, kwargs, queue, exchange, routing_key, headers, priority, "
    "expires, expire_seconds, one_off, start_time, enabled, description, interval_id, crontab_id, solar_id, clocked_id",
    "django_celery_beat_intervalschedule": "id, every, period",
    "django_celery_beat_crontabschedule": "id, minute, hour, day_of_month, month_of_year, day_of_week, timezone",
    "django_celery_beat_solarschedule": "id, event, latitude, longitude",
    "django_celery_beat_clockedschedule": "id, clocked_time",
    "django_q_schedule": "id, name, func, hook, args, kwargs, schedule_type, minutes, repeats, next_run, cron, "
    "cluster, intended_date_kwarg",
}
NUMBERS = {"id", "every", "priority", "expire_seconds", "minutes", "repeats"}


@pytest.fixture(autouse=True)
def _exposed(own_schedules: Registry, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(default, "_allow_list", own_schedules._allow_list)
    scheduler.expose(tasks.add)
    scheduler.expose(tasks.echo)
    scheduler.expose("check")


@pytest.fixture
def tables() -> Iterator[None]:
    """The tables of the other systems, empty."""
    with connection.cursor() as cursor:
        for table, columns in TABLES.items():
            types = (f"{name} {_type(name)}" for name in columns.split(", "))
            cursor.execute(f"CREATE TABLE {table} ({', '.join(types)})")
    yield
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"DROP TABLE {table}")


def _type(name: str) -> str:
    if name in ("enabled", "one_off"):
        return "boolean"
    if name in ("start_time", "next_run", "clocked_time", "expires"):
        return "timestamp with time zone" if connection.vendor == "postgresql" else "datetime"
    return "integer" if name in NUMBERS or name.endswith("_id") else "text"


def insert(table: str, **values: Any) -> None:
    with connection.cursor() as cursor:
        columns, places = ", ".join(values), ", ".join(["%s"] * len(values))
        cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", [*values.values()])


def beat(name: str, task: str = ADD, **values: Any) -> None:
    given = {"args": "[1, 2]", "kwargs": "{}", "headers": "{}", "description": "", "enabled": True, "one_off": False}
    number = Schedule.objects.count() + len(name)
    insert(
        "django_celery_beat_periodictask",
        id=number * 1_000 + hash(name) % 1_000,
        name=name,
        task=task,
        **given | values,
    )


def q2(name: str, kind: str, **values: Any) -> None:
    given = {"func": ADD, "args": "1, 2", "repeats": -1, "next_run": datetime(2030, 3, 5, 4, 30, tzinfo=UTC)}
    number = int(uuid4().hex[:6], 16)
    insert("django_q_schedule", **{"id": number, "name": name, "schedule_type": kind, **given, **values})


def run(*words: str) -> dict[str, Any]:
    """Return the results by name."""
    out = io.StringIO()
    call_command("loco_import", *words, "--format", "json", stdout=out)
    return {each["name"]: each for each in json.loads(out.getvalue())}


def stored(name: str) -> dict[str, Any]:
    row = Schedule.objects.get(name=name)
    fields = [field.name for field in Schedule._meta.concrete_fields if field.editable and not field.primary_key]
    blank: tuple[Any, ...] = (None, "", [], {}, "once", "allow")
    return {field: getattr(row, field) for field in fields if getattr(row, field) not in blank and field != "name"}


def test_celery_beat(tables):
    insert("django_celery_beat_intervalschedule", id=1, every=45, period="minutes")
    insert("django_celery_beat_intervalschedule", id=2, every=1, period="days")
    crontab = {"minute": "0", "hour": "4", "day_of_month": "*", "month_of_year": "*", "day_of_week": "mon, fri"}
    insert("django_celery_beat_crontabschedule", id=1, **crontab, timezone="Europe/Berlin")
    insert("django_celery_beat_clockedschedule", id=1, clocked_time=datetime(2030, 1, 2, 3, 4, tzinfo=UTC))
    beat("sync", interval_id=1, queue="emails", description="Syncs.", kwargs="{}")
    beat("daily", interval_id=2, enabled=False)
    beat("report", ECHO, args="[]", kwargs='{"to": "anna"}', crontab_id=1, start_time=datetime(2029, 1, 1, tzinfo=UTC))
    beat("launch", clocked_id=1, one_off=True)
    results = run("celery-beat")
    assert {each["state"] for each in results.values()} == {"imported"}
    call = {"run": ADD, "args": [1, 2]}
    assert stored("sync") == {**call, "schedule": "every 45 minutes", "queue": "emails", "description": "Syncs."}
    assert stored("daily") == {**call, "schedule": "every day"}
    assert results["daily"]["notes"] == ["It counted from its last run; now it fires at midnight."]
    assert stored("report") == {
        "run": ECHO,
        "kwargs": {"to": "anna"},
        "schedule": "0 4 * * mon,fri",
        "timezone": "Europe/Berlin",
        "start": datetime(2029, 1, 1, tzinfo=UTC),
    }
    assert stored("launch") == {**call, "at": datetime(2030, 1, 2, 3, 4, tzinfo=UTC)}
    paused = {each.name: each.paused for each in scheduler.upcoming()}
    assert paused == {"sync": False, "daily": True, "report": False, "launch": False}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"interval_id": 1, "one_off": True}, "it runs once at the next tick (one_off)"),
        ({"interval_id": 2}, "every 1,500 microseconds"),
        ({"crontab_id": 1}, "match both the day of the month and the weekday"),
        ({"solar_id": 1}, "it runs at sunset at a place on earth"),
        ({}, "it has no schedule."),
        ({"interval_id": 9}, "its interval is not in the table."),
        ({"interval_id": 1, "args": "[1,"}, "its args are not JSON"),
        ({"interval_id": 1, "args": "[" * 200_000}, "its args are not JSON"),
        ({"interval_id": 1, "kwargs": "[]"}, "its kwargs are not a dict."),
        ({"interval_id": 1, "args": "[1]"}, "missing a required argument: 'b'"),
        ({"interval_id": 1, "task": "celery.backend_cleanup"}, "is a task of Celery itself."),
        ({"interval_id": 1, "task": "shop.tasks.sync"}, "which the code does not expose"),
        ({"interval_id": 1, "task": tasks.fail.module_path}, "Put @scheduler.expose above the task"),
    ],
)
def test_what_cannot_be_converted_from_celery_beat(tables, values: dict[str, Any], reason: str):
    insert("django_celery_beat_intervalschedule", id=1, every=45, period="minutes")
    insert("django_celery_beat_intervalschedule", id=2, every=1_500, period="microseconds")
    both = {"minute": "0", "hour": "4", "day_of_month": "1-7", "month_of_year": "*", "day_of_week": "1"}
    insert("django_celery_beat_crontabschedule", id=1, **both, timezone="UTC")
    insert("django_celery_beat_solarschedule", id=1, event="sunset", latitude="1", longitude="2")
    beat("odd", **values)
    beat("good", interval_id=1)
    results = run("celery-beat")
    assert (results["odd"]["state"], reason in results["odd"]["reason"]) == ("left out", True), results["odd"]
    assert results["good"]["state"] == "imported"
    assert [row.name for row in Schedule.objects.all()] == ["good"]


def test_what_celery_beat_knows_and_we_do_not_is_said(tables):
    insert("django_celery_beat_intervalschedule", id=1, every=1, period="minutes")
    beat("sync", interval_id=1, queue="celery", priority=3, expire_seconds=60, exchange="x", headers='{"a": 1}')
    notes = run("celery-beat")["sync"]["notes"]
    assert [note.split()[1] for note in notes] == ["exchange", "priority", "headers", "queue"]
    assert stored("sync") == {"run": ADD, "args": [1, 2], "schedule": "every minute", "expires": 60.0}


def test_the_end_of_a_schedule_of_celery_beat_is_called_expires(tables):
    insert("django_celery_beat_intervalschedule", id=1, every=1, period="minutes")
    beat("sync", interval_id=1, expires=datetime(2030, 3, 5, 4, 30, tzinfo=UTC))
    assert run("celery-beat")["sync"]["notes"] == []
    assert stored("sync")["end"] == datetime(2030, 3, 5, 4, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "values", "when"),
    [
        ("I", {"minutes": 10}, {"schedule": "every 10 minutes"}),
        ("H", {}, {"schedule": "30 * * * *"}),
        ("D", {}, {"schedule": "30 5 * * *"}),
        ("W", {}, {"schedule": "30 5 * * 2"}),
        ("M", {}, {"schedule": "30 5 5 * *"}),
        ("BM", {}, {"schedule": "30 5 5 1,3,5,7,9,11 *"}),
        ("Q", {}, {"schedule": "30 5 5 3,6,9,12 *"}),
        ("Y", {}, {"schedule": "30 5 5 3 *"}),
        ("C", {"cron": "5 4 * * *"}, {"schedule": "5 4 * * *"}),
        ("O", {}, {"at": datetime(2030, 3, 5, 4, 30, tzinfo=UTC)}),
    ],
)
def test_django_q2(tables, settings, kind: str, values: dict[str, Any], when: dict[str, Any]):
    """On the clock of the site, an hour ahead of UTC at that time."""
    settings.TIME_ZONE = "Europe/Berlin"
    q2("job", kind, **values)
    assert run("django-q2")["job"]["state"] == "imported"
    assert stored("job") == {"run": ADD, "args": [1, 2], **when}


def test_moments_without_use_tz(tables, settings):
    """They are on the clock of the site, there and here."""
    settings.USE_TZ, settings.TIME_ZONE, at = False, "Europe/Berlin", datetime.fromisoformat
    q2("daily", "D", next_run=at("2030-03-05 09:00"))
    q2("once", "O", next_run=at("2030-03-05 09:00"))
    insert("django_celery_beat_clockedschedule", id=1, clocked_time=at("2030-01-02 18:00"))
    insert("django_celery_beat_intervalschedule", id=1, every=45, period="minutes")
    beat("launch", clocked_id=1)
    beat("limited", interval_id=1, start_time=at("2029-01-01 07:00"), expires=at("2029-01-01 09:00"))
    assert {each["state"] for each in (*run("django-q2").values(), *run("celery-beat").values())} == {"imported"}
    assert stored("daily")["schedule"] == "0 9 * * *"
    assert stored("once")["at"] == at("2030-03-05 09:00")
    assert stored("launch")["at"] == at("2030-01-02 18:00")
    limited = stored("limited")
    assert (limited["start"], limited["end"]) == (at("2029-01-01 07:00"), at("2029-01-01 09:00"))


@pytest.mark.parametrize(
    ("values", "call"),
    [
        ({"args": "'a'", "kwargs": None}, {"args": ["a"]}),
        (
            {"args": "('a', {'b': 1})", "kwargs": "c=[1], d='x'"},
            {"args": ["a", {"b": 1}], "kwargs": {"c": [1], "d": "x"}},
        ),
        ({"args": "", "kwargs": "{'c': None, 'q_options': {'timeout': 3}}"}, {"kwargs": {"c": None}}),
    ],
)
def test_arguments_of_django_q2(tables, values: dict[str, Any], call: dict[str, Any]):
    q2("job", "H", func=ECHO, **values)
    assert run("django-q2")["job"]["reason"] == ""
    assert stored("job") == {"run": ECHO, "schedule": "30 * * * *", **call}


@pytest.mark.parametrize(
    ("kind", "values", "reason"),
    [
        ("BW", {}, "every second week"),
        ("X", {}, "its type is 'X'."),
        ("D", {"repeats": 0}, "repeats is 0"),
        ("D", {"repeats": 3}, "it runs 3 more times"),
        ("M", {"next_run": datetime(2030, 1, 31, 4, 30, tzinfo=UTC)}, "it runs on day 31"),
        ("D", {"next_run": None}, "it has no next run."),
        ("D", {"args": "open('x')"}, "its args cannot be read: open('x')."),
        ("D", {"kwargs": "a=open('x')"}, "its kwargs cannot be read: a=open('x')."),
    ],
)
def test_what_cannot_be_converted_from_django_q2(tables, kind: str, values: dict[str, Any], reason: str):
    q2("job", kind, **values)
    assert reason in run("django-q2")["job"]["reason"]
    assert not Schedule.objects.exists()


@pytest.fixture
def rq(redis_server: RedisServer) -> Iterator[Any]:
    """An empty database of Redis, and what puts a job of rq-scheduler into it."""
    from redis import Redis  # noqa: PLC0415

    with Redis(port=redis_server.port, db=7) as client:
        client.flushdb()

        def put(job_id: str, call: Any, meta: Any, **fields: Any) -> None:
            data = {
                "data": zlib.compress(pickle.dumps(call)),
                "meta": pickle.dumps(meta),
                "origin": "default",
                **fields,
            }
            client.hset(f"rq:job:{job_id}", mapping=data)
            client.zadd("rq:scheduler:scheduled_jobs", {job_id: datetime(2030, 1, 2, tzinfo=UTC).timestamp()})

        put.url = f"redis://127.0.0.1:{redis_server.port}/7"  # type: ignore[attr-defined]
        yield put
        client.flushdb()


def test_rq_scheduler(rq):
    random = str(uuid4())
    rq("nightly", (ADD, None, (1, 2), {}), {"cron_string": "0 3 * * *", "use_local_timezone": False}, timeout="180")
    rq(random, (ECHO, None, (), {"to": ["anna"]}), {"interval": 90})
    rq("launch", (ADD, None, (1, 2), {}), {}, timeout="-1")
    results = run("rq-scheduler", "--url", rq.url)
    assert stored("nightly") == {
        "run": ADD,
        "args": [1, 2],
        "schedule": "0 3 * * *",
        "timezone": "UTC",
        "queue": "default",
        "timeout": 180.0,
    }
    name = f"{ECHO} {random[:8]}"
    assert stored(name) == {"run": ECHO, "kwargs": {"to": ["anna"]}, "schedule": "every 90 seconds", "queue": "default"}
    assert results[name]["notes"] == ["It counted from its last run; now it fires at fixed times."]
    assert stored("launch")["at"] == datetime(2030, 1, 2, tzinfo=UTC)


class Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("/tmp/django-loco-was-here"),))  # noqa: S108


@pytest.mark.parametrize(
    ("call", "meta", "reason"),
    [
        ((ADD, None, (Evil(), 2), {}), {"interval": 5}, "which is not JSON"),
        ((ADD, None, (timedelta(1), 2), {}), {"interval": 5}, "its arguments have a datetime.timedelta"),
        ((ADD, "an object", (), {}), {"interval": 5}, "of an object"),
        ((ADD, None, (1, 2), {}), {"interval": 5, "repeat": 3}, "it runs 3 more times"),
        ((ADD, None, ({1}, 2), {}), {"interval": 5}, "JSON"),
        ((ADD, None, (b"x", 2), {}), {"interval": 5}, "JSON"),
        ((ADD, None, (1, 2, 3), {}), {"interval": 5}, "too many positional arguments"),
        ((ADD, None, (1, 2), {}), {"cron_string": "61 * * * *"}, "61"),
        ((ADD, None, (1, 2), {}), {"interval": "soon"}, "it cannot be read: ValueError"),
        ((ADD, None, (1, 2), {}), ["no dict"], "it cannot be read: AttributeError"),
        ("text", {}, "its job cannot be read."),
    ],
)
def test_what_cannot_be_converted_from_rq_scheduler(rq, call: Any, meta: Any, reason: str):
    rq("job", call, meta)
    assert reason in run("rq-scheduler", "--url", rq.url)["job"]["reason"]
    assert not Path("/tmp/django-loco-was-here").exists()  # noqa: S108


def test_a_crontab(tmp_path: Path):
    (tmp_path / "crontab").write_text("0 3 * * * cd /srv && ./manage.py check\n@daily ./manage.py flush\n")
    results = run("cron", str(tmp_path / "crontab"))
    assert stored("check") == {"run": "check", "schedule": "0 3 * * *"}
    assert "which the code does not expose" in results["flush"]["reason"]


def test_a_dry_run_stores_nothing(tables):
    insert("django_celery_beat_intervalschedule", id=1, every=45, period="minutes")
    beat("sync", interval_id=1, enabled=False)
    out = io.StringIO()
    call_command("loco_import", "celery-beat", "--dry-run", stdout=out)
    assert "imported, paused" in out.getvalue()
    assert out.getvalue().endswith("1 of 1 schedule would be stored.\n")
    assert not Schedule.objects.exists()


def test_one_that_is_unchanged_is_not_said_to_be_paused(tables):
    insert("django_celery_beat_intervalschedule", id=1, every=45, period="minutes")
    beat("sync", interval_id=1, enabled=False)
    out = io.StringIO()
    call_command("loco_import", "celery-beat", stdout=out)
    assert "imported, paused" in out.getvalue()
    scheduler.resume("sync")
    call_command("loco_import", "celery-beat", stdout=out)
    assert "unchanged\n" in out.getvalue()


def enabled(name: str, value: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_celery_beat_periodictask SET enabled = %s WHERE name = %s", [value, name])


@pytest.mark.parametrize("changed", [True, False], ids=["other arguments", "nothing else"])
def test_one_that_was_off_and_is_on_runs_again(tables, changed: bool):
    insert("django_celery_beat_intervalschedule", id=1, every=45, period="minutes")
    beat("sync", interval_id=1, enabled=False)
    assert run("celery-beat")["sync"]["is_paused"]
    enabled("sync", True)
    if changed:
        Schedule.objects.update(args=[3, 4])
    else:
        assert (run("celery-beat")["sync"]["state"], run("celery-beat")["sync"]["is_paused"]) == ("unchanged", True)
    for words in (["--dry-run"], []):
        result = run("celery-beat", "--replace", *words)["sync"]
        assert (result["state"], result["is_paused"], result["notes"]) == ("replaced", False, [])
    assert [row.paused for row in scheduler.upcoming()] == [False]
    enabled("sync", False)
    result = run("celery-beat", "--replace")["sync"]
    assert (result["state"], result["is_paused"]) == ("replaced", True)
    assert [row.paused for row in scheduler.upcoming()] == [True]


def test_one_that_somebody_has_paused_stays_paused(tables):
    insert("django_celery_beat_intervalschedule", id=1, every=45, period="minutes")
    beat("sync", interval_id=1)
    run("celery-beat")
    scheduler.pause("sync", by="ann")
    Schedule.objects.update(args=[3, 4])
    result = run("celery-beat", "--replace")["sync"]
    assert (result["state"], result["is_paused"], result["notes"]) == ("replaced", True, ["It stays paused, by ann."])
    assert [row.paused for row in scheduler.upcoming()] == [True]


class ReadsFromReplica:
    """The router of Django's documentation. The replica lags behind: it has nothing yet."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "second"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


@pytest.mark.django_db(transaction=True, databases=["default", "second"])
def test_rows_are_written_where_the_router_writes(tables):
    insert("django_celery_beat_intervalschedule", id=1, every=45, period="minutes")
    beat("sync", interval_id=1)
    beat("off", interval_id=1, enabled=False)
    with override_settings(DATABASE_ROUTERS=[ReadsFromReplica()]):
        assert {each["state"] for each in run("celery-beat").values()} == {"imported"}
        assert {each["state"] for each in run("celery-beat").values()} == {"unchanged"}
        enabled("off", True)
        assert run("celery-beat", "--replace")["off"]["state"] == "replaced"
        assert not Schedule.objects.exists()
    assert [(row.name, row.paused) for row in scheduler.upcoming()] == [("off", False), ("sync", False)]


def test_it_may_run_again(tables):
    insert("django_celery_beat_intervalschedule", id=1, every=45, period="minutes")
    beat("sync", interval_id=1)
    assert run("celery-beat")["sync"]["state"] == "imported"
    assert run("celery-beat")["sync"]["state"] == "unchanged"
    Schedule.objects.update(args=[3, 4])
    assert "--replace overwrites it" in run("celery-beat")["sync"]["reason"]
    assert stored("sync")["args"] == [3, 4]
    assert run("celery-beat", "--replace")["sync"]["state"] == "replaced"
    assert stored("sync")["args"] == [1, 2]
    assert Schedule.objects.count() == 1


def test_tasks_that_have_moved(tables):
    insert("django_celery_beat_intervalschedule", id=1, every=45, period="minutes")
    beat("sync", "shop.celery.sync", interval_id=1)
    assert run("celery-beat", "--map", f"shop.celery.sync={ADD}")["sync"]["state"] == "imported"
    with pytest.raises(CommandError, match="is not OLD=NEW"):
        run("celery-beat", "--map", "shop.celery.sync")


def test_a_name_that_the_code_has(tables):
    scheduler.hourly(tasks.add, args=[1, 2], name="sync")
    insert("django_celery_beat_intervalschedule", id=1, every=45, period="minutes")
    beat("sync", interval_id=1)
    assert "a schedule in the code or the settings has this name" in run("celery-beat")["sync"]["reason"]


def test_the_report(tables):
    insert("django_celery_beat_intervalschedule", id=1, every=2, period="days")
    beat("sync", interval_id=1)
    beat("odd", "shop.tasks.none", interval_id=1)
    out = io.StringIO()
    call_command("loco_import", "celery-beat", stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[1].split() == ["sync", "every", "2", "days", ADD, "imported"]
    assert lines[3:5] == ["Not as it was:", "  sync: It counted from its last run; now it fires at midnight."]
    assert lines[6] == "Left out:"
    assert lines[7].startswith("  odd: run is 'shop.tasks.none', which the code does not expose.")
    assert lines[-1] == "1 of 2 schedules was stored."


def test_sources_that_are_not_there(tmp_path: Path):
    with pytest.raises(CommandError, match=r"has no table django_celery_beat_periodictask\. Name the database"):
        run("celery-beat")
    with pytest.raises(CommandError, match="Name the crontab"):
        run("cron")
    with pytest.raises(CommandError, match="No such file"):
        run("cron", str(tmp_path / "none"))
    with pytest.raises(CommandError, match="the Redis of rq-scheduler cannot be read"):
        run("rq-scheduler", "--url", "redis://127.0.0.1:1/0")
