"""Schedules of the database as schedulers, Python and the command line see them."""

import json
import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, DataError, OperationalError, connection, transaction
from django.test import override_settings

from django_loco import scheduler
from django_loco.checks.settings import check_schedules, check_stored_schedules
from django_loco.core.job import utcnow
from django_loco.exceptions import LocoConfigurationError
from django_loco.models import Schedule, ScheduleState
from django_loco.queues import queue_for
from django_loco.scheduler import Registry, Scheduler
from django_loco.scheduler.api.control import current
from django_loco.scheduler.registry import default
from django_loco.scheduler.sources import database
from django_loco.scheduler.sources.allow_list import AllowList
from django_loco.scheduler.sources.database import ScheduleReader
from django_loco.scheduler.sources.database_poller import MISSING_TABLE_SECONDS, DatabasePoller
from django_loco.testing import travel
from tests.unit.scheduler import tasks as schedule_tasks
from tests.unit.scheduler.tasks import plain, send, tick, tock

TICK, SEND = tick.module_path, send.module_path


@pytest.fixture(autouse=True)
def declared(own_schedules, monkeypatch):
    """A project whose code has a schedule, and exposes two tasks and a management command."""
    exposed = AllowList()
    monkeypatch.setattr(default, "_allow_list", exposed)
    own_schedules.hourly(tick, name="code")
    for target in (tick, send, "check"):
        default.expose(target)
    return own_schedules


@pytest.fixture
def reader(db):
    return ScheduleReader(default.allow_list)


def add(name="row", **fields):
    return Schedule.objects.create(**({"name": name, "run": TICK, "schedule": "every hour"} | fields))


def entries(reader):
    return {made.name: made for made in reader.read().rows if isinstance(made, scheduler.ScheduleEntry)}


def told(reader):
    return {made.schedule: made.message for made in reader.read().rows if isinstance(made, scheduler.Problem)}


def test_a_row_becomes_what_the_same_in_the_settings_would(reader):
    at = datetime(2026, 12, 24, 18, tzinfo=UTC)
    call = {"run": SEND, "args": [5], "kwargs": {"template": "fancy"}, "tags": ["shop"]}
    when = {"schedule": "7pm every Thursday", "timezone": "Europe/Berlin", "start": at, "jitter": 30}
    missed = {"misfire": "all", "grace": 60, "cap": 3}
    add("all", **call, **when, **missed, queue="emails", priority=7, max_attempts=2, timeout=9)
    add("once", schedule="", at=at)
    add("command", run="check --tag", args=["urls"])
    found = entries(reader)
    entry = found["all"]
    assert (entry.args, entry.kwargs, entry.tags) == ([5], {"template": "fancy"}, ("shop",))
    assert entry.trigger.words == "at 19:00 on Thursday, from 2026-12-24 19:00"
    assert (str(entry.trigger.zone), entry.jitter.total_seconds()) == ("Europe/Berlin", 30)
    assert (entry.misfire.mode, entry.misfire.grace.total_seconds(), entry.misfire.cap) == ("all", 60, 3)
    assert (entry.task.queue_name, entry.task.priority) == ("emails", 7)
    assert (entry.task.max_attempts, entry.task.timeout) == (2, 9)
    assert found["once"].trigger.next_after(datetime(2026, 12, 1, tzinfo=UTC)) == at
    assert found["command"].args == ["check", "--tag", "urls"]
    assert {str(entry.location) for entry in found.values()} == {"database"}


@override_settings(USE_TZ=False, TIME_ZONE="America/New_York")
def test_without_use_tz_times_are_those_of_the_site(reader):
    add(schedule="", at=datetime(2026, 12, 24, 18), timezone="Europe/Berlin")  # noqa: DTZ001 - so they are then
    assert entries(reader)["row"].trigger.at == datetime(2026, 12, 24, 23, tzinfo=UTC)


@pytest.mark.django_db
@override_settings(USE_TZ=False, TIME_ZONE="Europe/Berlin")
@pytest.mark.parametrize(
    ("field", "moment", "message"),
    [
        ("at", datetime(2027, 10, 31, 2, 30), "in time zone Europe/Berlin, whose clock shows that twice"),  # noqa: DTZ001
        ("start", datetime(2027, 10, 31, 2, 30, fold=1), "whose clock shows that twice"),  # noqa: DTZ001
        ("end", datetime(2027, 3, 28, 2, 30), "it may be ambiguous or it may not exist"),  # noqa: DTZ001
        ("at", datetime(2027, 10, 31, 3, 30), None),  # noqa: DTZ001
    ],
)
def test_without_use_tz_a_moment_that_databases_read_differently_is_refused(field, moment, message):
    row = Schedule(name="row", run=TICK, schedule="" if field == "at" else "every hour", **{field: moment})
    if message is None:
        row.full_clean()
        return
    with pytest.raises(ValidationError) as error:
        row.full_clean()
    assert message in " ".join(error.value.message_dict[field])


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"schedule": "0 0 31 2 *"}, "schedule", "never fires"),
        ({"schedule": "7pm every Thurzday"}, "schedule", "Did you mean '7pm every thursday'?"),
        ({"schedule": ""}, "schedule", "it does not say when to run"),
        ({"schedule": "every 0 minutes"}, "schedule", "the interval is 0 s; it must be a second or more"),
        ({"schedule": "at 4:00", "timezone": "Europe/Berln"}, "timezone", "Did you mean 'Europe/Berlin'?"),
        ({"run": "tests.unit.scheduler.tasks.tock"}, "run", "Did you mean 'tests.unit.scheduler.tasks.tick'?"),
        ({"run": "os.system"}, "run", "which the code does not expose"),
        ({"run": "django_loco.scheduler.actions.shell"}, "run", "which the code does not expose"),
        ({"run": "django_loco.scheduler.actions.command", "args": ["flush"]}, "run", "does not expose"),
        ({"run": "flush --no-input"}, "run", "which the code does not expose"),
        ({"run": "check --no-such-option"}, "run", "'check' does not take '--no-such-option'"),
        ({"run": "check", "args": ["--no-such-option"]}, "run", "'check' does not take '--no-such-option'"),
        ({"run": "check 'urls"}, "run", "which cannot be split into words"),
        ({"run": f"{TICK} 5"}, "run", "with arguments; put them into args"),
        ({"run": " "}, "run", "it must be the dotted path of a task"),
        ({"run": SEND}, "args", "the arguments do not fit"),
        ({"args": {"a": 1}}, "args", "it must be a list"),
        ({"kwargs": [1]}, "kwargs", "it must be a dict"),
        ({"tags": "shop"}, "tags", "it must be a list of words"),
        ({"start": datetime(2026, 2, 1, tzinfo=UTC), "end": datetime(2026, 1, 1, tzinfo=UTC)}, "end", "never fires"),
        ({"queue": "emials"}, "queue", "emials"),
        ({"priority": 101}, "priority", "101"),
        ({"grace": 1e6}, "grace", "LOCO['RESULT_TTL'] allows more"),
        ({"schedule": "", "after": "cod"}, "after", "which is not a schedule. Did you mean 'code'?"),
        ({"schedule": "", "after": "row"}, "after", "after makes a loop: 'row' after 'row'"),
        ({"after": "code"}, "schedule", "after"),
        ({"overlap": "never"}, "overlap", "'never'"),
        ({"name": "line\nbreak"}, "name", "it must be text of one line"),
        ({"name": "code"}, "name", "a schedule in the code or the settings has this name"),
    ],
)
def test_a_row_that_is_wrong_is_off_and_a_form_says_why(reader, fields, field, message):
    row = Schedule(**({"name": "row", "run": TICK, "schedule": "every hour"} | fields))
    with pytest.raises(ValidationError) as error:
        row.full_clean()
    assert message in " ".join(error.value.message_dict[field])
    row.save()
    add("right")
    assert "right" in entries(reader)
    registry = default.combined_with(reader.read().rows)
    (problem,) = registry.problems()
    assert message in problem.message
    assert (problem.schedule, "this schedule is off" in problem.hint or "it is off" in problem.hint) == (row.name, True)


def test_an_interval_with_a_time_zone_is_refused_by_a_form_and_runs_where_it_is_stored(reader):
    """Earlier versions stored it, and it must not be off after an upgrade."""
    row = add(schedule="every 7 minutes", timezone="Europe/Berlin")
    with pytest.raises(ValidationError) as error:
        row.full_clean()
    assert "this one runs every 7 minutes" in " ".join(error.value.message_dict["timezone"])
    assert entries(reader)["row"].trigger.words == "every 7 minutes"
    add("wrong", timezone="Europe/Berln")
    assert "Did you mean" in told(reader)["wrong"]


def test_a_loop_of_several_rows_is_refused_by_the_one_that_closes_it(reader):
    add("first", schedule="", after="code")
    second = add("second", schedule="", after="first")
    first = Schedule.objects.get(name="first")
    second.full_clean()
    first.after = "second"
    with pytest.raises(ValidationError, match="after makes a loop"):
        first.full_clean()
    assert [entry.after for entry in entries(reader).values()] == ["code", "first"]


def test_what_is_not_exposed_says_what_is_needed():
    with pytest.raises(LocoConfigurationError, match=r"Put @scheduler\.expose"):
        AllowList().require("shop.tasks.sync")


@pytest.mark.parametrize(("target", "message"), [(plain, "decorate it with @task"), ("chek", "Did you mean 'check'?")])
def test_what_cannot_be_exposed_is_a_problem(target, message):
    registry = Registry()
    assert registry.expose(target) is target
    (problem,) = registry.problems()
    assert message in problem.message
    assert __file__ in problem.hint


def test_what_has_not_changed_is_the_same_object(reader):
    add("first")
    row = add("second")
    before = reader.read()
    assert reader.read().rows is before.rows
    row.description = "another"
    row.save()
    after = reader.read()
    assert after.rows is not before.rows
    assert (after.rows[0] is before.rows[0], after.rows[1] is before.rows[1]) == (True, False)


def test_a_change_by_sql_is_seen_by_a_thorough_look(reader):
    add(schedule="every hour")
    before = reader.read()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_loco_schedule SET schedule = 'every 2 hours'")
    assert reader.read().rows is before.rows
    assert str(reader.read(full=True).rows[0].trigger) == "0 */2 * * *"


def test_a_row_by_sql_that_nobody_could_have_made_is_off_and_the_others_run(reader, monkeypatch, caplog):
    add("right")
    add("odd")
    made = database.entry_from
    monkeypatch.setattr(database, "entry_from", lambda name, *more: made(name, *more) if name == "right" else 1 / 0)
    assert list(entries(reader)) == ["right"]
    assert "is invalid: ZeroDivisionError" in told(reader)["odd"]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the others keep no text where a time belongs")
def test_a_time_by_sql_that_is_none_turns_off_only_its_row(reader):
    add("right")
    add("odd")
    with connection.cursor() as cursor:
        cursor.execute("""UPDATE django_loco_schedule SET "start" = '2026-13-45 10:00' WHERE name = 'odd'""")
    assert list(entries(reader)) == ["right"]
    assert "is invalid: " in told(reader)["odd"]


@pytest.mark.django_db
def test_python_knows_them():
    add("row", args=[], tags=["shop"])
    add("wrong", schedule="never")
    listed = {row.name: row for row in scheduler.upcoming()}
    assert (listed["row"].source, listed["row"].paused, listed["row"].tags) == ("database", False, ("shop",))
    assert [problem.schedule for problem in scheduler.problems()] == ["wrong"]
    result = scheduler.run("row")
    assert queue_for("default").get(result.id).key.startswith("row@run ")


@pytest.mark.django_db
def test_what_runs_after_a_row_can_be_run_if_that_is_right(declared):
    add("first")
    add("second", schedule="", after="first")
    add("third", schedule="", after="second")
    for name in ("second", "third"):
        assert scheduler.run(name)
        assert len(scheduler.history(name)) == 1
    Schedule.objects.filter(name="first").update(run="shop.tasks.none")
    for name in ("second", "third"):
        with pytest.raises(LocoConfigurationError, match=f"Schedule '{name}': after is '.*', which is off"):
            scheduler.run(name)
        with pytest.raises(LocoConfigurationError, match="which is off"):
            scheduler.history(name)


@pytest.mark.django_db
def test_code_that_runs_after_a_row_cannot_be_run(declared):
    add("first")
    declared.after("first", tock, name="code too")
    for act in (scheduler.run, scheduler.history):
        with pytest.raises(LocoConfigurationError, match="Schedule 'code too': after is 'first', which is not a sch"):
            act("code too")
    assert [problem.schedule for problem in scheduler.problems()] == ["code too"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["code", "row"])
def test_a_pause(name):
    add("row")
    assert scheduler.pause(name, by="admin")
    since = ScheduleState.objects.get(name=name).paused_at
    assert not scheduler.pause(name, by="bob")
    state = ScheduleState.objects.get(name=name)
    assert (state.paused_at, state.paused_by) == (since, "admin")
    assert {row.name for row in scheduler.upcoming() if row.paused} == {name}
    assert current().pauses[name].by == "admin"
    scheduler.run(name)
    assert scheduler.resume(name)
    assert not scheduler.resume(name)
    assert not any(row.paused for row in scheduler.upcoming())
    assert not current().pauses[name].covers(datetime.now(UTC))
    assert current().pauses[name].covers(since)


class WithLaggingReplica:
    """A router whose replica has no rows yet."""

    def db_for_read(self, model, **hints):
        return "second"

    def db_for_write(self, model, **hints):
        return "default"


@pytest.mark.django_db(databases=["default", "second"])
def test_a_replica_that_lags_behind():
    add("row")
    add("next", schedule="", after="row")
    with override_settings(DATABASE_ROUTERS=[WithLaggingReplica()]):
        assert "row" not in [row.name for row in scheduler.upcoming()]
        assert scheduler.run("next")
        assert scheduler.pause("row", by="admin")
        assert scheduler.resume("row")
        with pytest.raises(LocoConfigurationError, match="Did you mean 'row'"):
            scheduler.pause("raw")


@pytest.mark.django_db
@override_settings(USE_TZ=False, TIME_ZONE="America/New_York")
def test_a_pause_without_use_tz():
    scheduler.pause("code")
    assert abs((current().pauses["code"].since - datetime.now(UTC)).total_seconds()) < 5
    scheduler.resume("code")
    assert abs((current().pauses["code"].until - datetime.now(UTC)).total_seconds()) < 5


@pytest.mark.django_db(transaction=True)
def test_a_pause_that_ends_in_the_repeated_hour_without_use_tz(settings):
    """PostgreSQL stores its end as if it were an hour later."""
    settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Berlin"
    connection.close()
    with travel(datetime(2026, 10, 25, 0, 10, tzinfo=UTC)):
        scheduler.pause("code")
        scheduler.resume("code")
        pause = current().pauses["code"]
        assert utcnow() - timedelta(seconds=10) < pause.until <= utcnow()
    connection.close()


@pytest.mark.django_db
def test_a_pause_that_is_long_over_is_forgotten():
    ScheduleState.objects.create(name="code", resumed_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert current().pauses == {}


@pytest.mark.django_db
def test_the_pause_of_a_row_ends_with_it():
    add("row")
    add("other")
    scheduler.pause("row")
    scheduler.pause("other")
    scheduler.pause("code")
    Schedule.objects.get(name="row").delete()
    Schedule.objects.filter(name="other").delete()
    assert [state.name for state in ScheduleState.objects.all()] == ["code"]


@pytest.mark.django_db
def test_the_pause_of_a_schedule_of_the_code_outlives_a_row_of_its_name():
    add("code")
    scheduler.pause("code", by="ann")
    Schedule.objects.get(name="code").delete()
    assert current().is_paused("code")
    assert current().pauses["code"].by == "ann"


@pytest.mark.django_db
@pytest.mark.parametrize("call", [scheduler.pause, scheduler.resume])
def test_a_name_that_nothing_has(call):
    with pytest.raises(LocoConfigurationError, match=r"there is no schedule 'cod'\. Did you mean 'code'\?"):
        call("cod")


@pytest.mark.django_db
def test_the_command_line(capsys):
    add("row")
    call_command("loco_scheduler", "--pause", "row")
    call_command("loco_scheduler", "--pause", "row")
    assert capsys.readouterr().out == "Schedule 'row' is paused.\nSchedule 'row' was paused already.\n"
    call_command("loco_scheduler", "--list")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("row ")]
    assert " paused " in line
    assert line.endswith(" database")
    call_command("loco_scheduler", "--list", "--format", "json")
    assert {row["name"]: row["paused"] for row in json.loads(capsys.readouterr().out)} == {"code": False, "row": True}
    call_command("loco_scheduler", "--preview", "2h")
    assert " row " not in capsys.readouterr().out
    call_command("loco_scheduler", "--resume", "row")
    call_command("loco_scheduler", "--resume", "row")
    assert capsys.readouterr().out == "Schedule 'row' runs again.\nSchedule 'row' was not paused.\n"
    with pytest.raises(CommandError, match=r"Did you mean 'row'\?"):
        call_command("loco_scheduler", "--pause", "rwo")
    call_command("loco_scheduler", "--check")
    add("wrong", schedule="never")
    with pytest.raises(CommandError, match="1 schedule is wrong and off"):
        call_command("loco_scheduler", "--check")


@pytest.mark.django_db
@pytest.mark.parametrize("option", ["--pause", "--resume"])
@pytest.mark.parametrize("name", ["code", "row"])
def test_a_database_that_cannot_be_used_is_named_with_the_remedy(option, name):
    def refuse(execute, sql, params, many, context):
        raise OperationalError("attempt to write a readonly database")

    said = rf"'{name}' was not \w+: The schedules and pauses are in DATABASES\['default'\], .* or correct DATABASES"
    with connection.execute_wrapper(refuse), pytest.raises(CommandError, match=said):
        call_command("loco_scheduler", option, name)


@pytest.mark.django_db
def test_an_error_of_the_data_is_not_one_of_the_database():
    def refuse(execute, sql, params, many, context):
        raise DataError("a NUL")

    with connection.execute_wrapper(refuse), pytest.raises(DataError):
        scheduler.pause("code")


@pytest.mark.django_db
def test_checks_ask_the_database_only_when_they_are_told_to(django_assert_num_queries):
    add("wrong", schedule="never")
    with django_assert_num_queries(0):
        assert [*check_schedules(), *check_stored_schedules(), *check_stored_schedules(databases=["second"])] == []
    (message,) = check_stored_schedules(databases=["default"])
    assert (message.id, "Schedule 'wrong'" in message.msg) == ("loco.W009", True)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_wrong_does_not_stop_migrate():
    add("wrong", schedule="never")
    call_command("migrate", "--verbosity", "0", skip_checks=False)


@pytest.fixture
def no_tables(transactional_db):
    with connection.schema_editor() as editor:
        for model in (Schedule, ScheduleState):
            editor.delete_model(model)
    yield
    with connection.schema_editor() as editor:
        for model in (Schedule, ScheduleState):
            editor.create_model(model)


@pytest.mark.usefixtures("no_tables")
def test_a_project_without_tables(caplog):
    caplog.set_level(logging.INFO, "django_loco.scheduler")
    with transaction.atomic():
        assert [row.name for row in scheduler.upcoming()] == ["code"]
        assert scheduler.problems() == []
        scheduler.run("code")
        with pytest.raises(LocoConfigurationError, match=r"run manage\.py migrate"):
            scheduler.pause("code")
    assert list(check_stored_schedules(databases=["default"])) == []
    poller = DatabasePoller(default.allow_list)
    for _ in range(3):
        assert (poller.turn(), poller.age) == (MISSING_TABLE_SECONDS, None)
    assert poller.changes() is None
    assert len([record for record in caplog.records if "manage.py migrate" in record.getMessage()]) == 1


@pytest.fixture
def no_database(monkeypatch):
    """``DATABASES`` is empty."""
    monkeypatch.setitem(connection.settings_dict, "ENGINE", "django.db.backends.dummy")


@pytest.mark.django_db  # the error asks PostgreSQL for tables in other schemas
@pytest.mark.usefixtures("no_database")
def test_a_project_without_a_database():
    assert [row.name for row in scheduler.upcoming()] == ["code"]
    with pytest.raises(LocoConfigurationError, match=r"run manage\.py migrate"):
        scheduler.pause("code")
    made = Scheduler()
    made.start()
    assert made.health()["rows_age"] is None
    assert made._poller is None
    made.stop(time.monotonic())
    assert made.join(10)


@pytest.mark.django_db
def test_a_database_that_is_away_for_a_while(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "django_loco.scheduler")
    row = add("row")
    poller = DatabasePoller(default.allow_list)
    assert (poller.age, poller.turn()) == (None, None)
    assert poller.age < 5
    assert [made.name for made in poller.changes().rows] == ["row"]
    with monkeypatch.context() as patched:
        patched.setattr(ScheduleReader, "read", fail)
        poller.turn()
        poller.turn()
    assert poller.changes() is None
    poller.turn()
    assert poller.changes() is None
    row.delete()
    poller.turn()
    assert poller.changes().rows == ()
    assert [record.getMessage() for record in caplog.records if "in the database" in record.getMessage()] == [
        "The schedules in the database cannot be read, and stay as they are: away",
        "The schedules in the database can be read",
    ]


def fail(self, **options):
    raise DatabaseError("away")


@pytest.mark.django_db
def test_python_while_the_database_is_away(monkeypatch):
    monkeypatch.setattr(ScheduleReader, "read", fail)
    assert [row.name for row in scheduler.upcoming()] == ["code"]


@pytest.fixture
def running():
    """A scheduler of the project, with its threads."""
    made = Scheduler()
    yield made
    made.stop(time.monotonic())
    assert made.join(10)


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def keys_of(alias):
    return [job.key for job in queue_for(alias).list(limit=1000)]


def keys(name):
    return sorted(job.key for job in queue_for("default").list(limit=1000) if job.key.startswith(f"{name}@"))


@pytest.mark.django_db(transaction=True)
def test_a_scheduler_follows_what_is_changed_while_it_runs(running, monkeypatch):
    monkeypatch.setattr(DatabasePoller, "every", 0.2)
    row = add("row", schedule="every second")
    running.start()
    until(lambda: len(keys("row")) > 1)
    assert running.health()["schedules"] == 2
    scheduler.pause("row")
    until(lambda: running._by_alias["default"].timetable._pauses)
    count = len(keys("row"))
    assert not running.join(1.5)
    assert len(keys("row")) == count
    scheduler.resume("row")
    until(lambda: len(keys("row")) > count)
    row.delete()
    until(lambda: running.health()["schedules"] == 1)
    add("new", schedule="every second")
    until(lambda: keys("new"))


@pytest.mark.django_db(transaction=True)
def test_a_scheduler_that_starts_counts_the_schedules_once(running, caplog, monkeypatch):
    monkeypatch.setattr(DatabasePoller, "every", 0.2)
    caplog.set_level(logging.INFO, "django_loco.scheduler")
    add("row")
    add("wrong", schedule="never")
    running.start()
    until(lambda: running.health()["last_pass_age"] is not None)
    add("new")
    until(lambda: running.health()["schedules"] == 3)
    until(lambda: "3 schedules" in caplog.messages)
    more = "1 more schedule is off because of errors: see manage.py loco_scheduler --check"
    assert [message for message in caplog.messages if "schedule" in message] == [
        "2 schedules",
        more,
        "3 schedules",
        more,
    ]


@pytest.mark.django_db(transaction=True)
def test_a_scheduler_counts_the_schedules_of_the_code_while_the_database_is_away(running, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "django_loco.scheduler")
    monkeypatch.setattr(ScheduleReader, "read", fail)
    running.start()
    until(lambda: "1 schedule" in caplog.messages)


@pytest.mark.django_db(transaction=True)
def test_what_is_paused_when_a_scheduler_starts_does_not_run(running, declared):
    declared.every(tick, seconds=1, name="fast")
    scheduler.pause("fast")
    running.start()
    until(lambda: running.health()["last_pass_age"] is not None)
    assert not running.join(1.5)
    assert keys("fast") == []


@pytest.mark.django_db(transaction=True)
def test_what_is_paused_does_not_run_in_the_thread_of_its_alias_either(running, declared, monkeypatch, settings):
    """The threads of the aliases start after the first read."""
    read = ScheduleReader.read
    monkeypatch.setattr(ScheduleReader, "read", lambda self, **options: time.sleep(1.2) or read(self, **options))
    settings.TASKS = dict.fromkeys(("default", "other"), settings.TASKS["default"])
    declared.every(tick, seconds=1, name="fast")
    declared.every(tick.using(backend="other"), seconds=1, name="beside")
    scheduler.pause("fast")
    running.start()
    until(lambda: any(key.startswith("beside@") for key in keys_of("other")))
    assert not running.join(1.5)
    assert keys("fast") == []


@pytest.mark.django_db(transaction=True)
def test_a_row_with_jobs_in_another_alias_gets_a_thread(running, declared, monkeypatch, settings):
    settings.TASKS = dict.fromkeys(("default", "other"), settings.TASKS["default"])
    monkeypatch.setattr(DatabasePoller, "every", 0.2)
    declared.every(tick, seconds=1, name="fast")
    running.start()
    until(lambda: keys("fast"))
    assert sum(part.has_started for part in running._by_alias.values()) == 0
    monkeypatch.setattr(schedule_tasks, "tock", tock.using(backend="other"))
    default.expose(tock)
    add("row", schedule="every second", run=tock.module_path)
    until(lambda: len(keys_of("other")) > 1)
    assert sum(part.has_started for part in running._by_alias.values()) == 2
    count = len(keys("fast"))
    until(lambda: len(keys("fast")) > count + 1)
    ticks = [datetime.fromisoformat(key.partition("@")[2]) for key in keys("fast")]
    assert {after - before for before, after in pairwise(ticks)} == {timedelta(seconds=1)}


@pytest.mark.django_db(transaction=True)
def test_a_database_that_hangs_holds_up_no_tick(running, declared, monkeypatch):
    """The queue is in memory; the thread that reads schedules hangs until the end."""
    hanging = threading.Event()
    monkeypatch.setattr(ScheduleReader, "read", lambda self, **options: hanging.wait(60))
    memory = {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"queue": "memory", "mode": "BackgroundQueue"}}
    with override_settings(TASKS={"default": memory}):
        declared.every(tick, seconds=1, name="fast")
        running.start()
        until(lambda: len(keys("fast")) > 3)
        running.stop(time.monotonic())
        assert running.join(10)
        hanging.set()
        queue_for("default").clear()
