import logging
import sys
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings

from django_loco import scheduler
from django_loco.core.compat import BaseTaskBackend
from django_loco.exceptions import LocoConfigurationError
from django_loco.scheduler import Registry
from django_loco.scheduler.misfire import Misfire
from django_loco.scheduler.registry import default

from . import tasks
from .tasks import fetch, plain, report, send, tick, tock

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def registry():
    return Registry(strict=True)


@pytest.fixture
def lenient(caplog):
    caplog.set_level(logging.CRITICAL, "django_loco.scheduler")
    return Registry()


@pytest.mark.parametrize("name", ["ticks", tick, 5])
def test_a_schedule_that_does_not_exist(registry, name):
    registry.hourly(tick, name="tick")
    with pytest.raises(LocoConfigurationError, match=r"there is no schedule .* '?tick'?[.?]$"):
        registry.entry(name)


def test_grace_is_as_long_as_the_queue_remembers(registry):
    with override_settings(LOCO={"RESULT_TTL": 60}):
        registry.hourly(tick, grace=3600)
    with override_settings(LOCO={"RESULT_TTL": 7 * 86400}):
        registry.hourly(tock, grace=timedelta(days=7), misfire="all", cap=10)
    assert [entry.misfire for entry in registry.entries()] == [
        Misfire("once", timedelta(hours=1)),
        Misfire("all", timedelta(days=7), 10),
    ]


def test_an_entry_has_what_the_job_needs(registry):
    ids = [5]
    registry.every(send, hours=1, args=ids, kwargs={"template": "fancy"}, tags=["mail"], name="fancy mail")
    ids.append(6)
    (entry,) = registry.entries()
    assert (entry.name, entry.task, entry.tags) == ("fancy mail", send, ("mail",))
    assert (list(entry.args), entry.kwargs) == ([5], {"template": "fancy"})
    assert entry.location.file == __file__


def test_a_schedule_is_named_after_its_task(registry):
    registry.every_minute(tick)
    assert [entry.name for entry in registry.entries()] == ["tests.unit.scheduler.tasks.tick"]


def test_the_key_of_a_tick_is_the_same_in_every_zone(registry):
    registry.every_minute(tick, name="beat")
    (entry,) = registry.entries()
    moment = datetime(2026, 11, 21, 5, tzinfo=UTC)
    assert entry.key(moment) == entry.key(moment.astimezone(BERLIN)) == "beat@2026-11-21T05:00:00+00:00"


def test_async_tasks_and_tasks_with_a_context_and_changed_tasks(registry):
    registry.every_minute(fetch, args=["http://example.com"])
    registry.every_minute(report, args=["today"])
    registry.every_minute(send.using(priority=5), kwargs={"user_id": 1})
    assert len(registry.entries()) == 3


WRONG = [
    (lambda r: r.hourly(tick, at=75), "at is 75; it must be a minute, a whole number from 0 to 59."),
    (lambda r: r.hourly(tick, at=True), "at is True; it must be a minute"),
    (lambda r: r.hourly(tick, at="15"), "at is '15'; it must be a minute"),
    (lambda r: r.daily(tick, at="24:00"), 'at is \'24:00\'; it must be a time from "00:00" to "23:59".'),
    (lambda r: r.daily(tick, at="4am"), "at is '4am'; it must be a time"),
    (lambda r: r.daily(tick, at=4), "at is 4; it must be a time"),
    (lambda r: r.daily(tick, at=time(4, 0, 30)), "it must be a time from"),
    (lambda r: r.daily(tick, at=time(4, tzinfo=UTC)), "it must be a time from"),
    (lambda r: r.weekly(tick, on="funday"), "on is 'funday'; it must be one of sunday, monday, tuesday, "),
    (lambda r: r.weekly(tick, on=3), "on is 3; it must be one of sunday"),
    (lambda r: r.weekly(tick, on=[]), "on is empty; it must be one or more weekdays"),
    (lambda r: r.monthly(tick, day=32), 'day is 32; it must be a whole number from 1 to 31, or "last".'),
    (lambda r: r.every(tick), "the interval is 0 s; it must be a second or more, such as seconds=15."),
    (lambda r: r.every(tick, seconds=0), "the interval is 0 s;"),
    (lambda r: r.every(tick, seconds=-5), "the interval is -5 s;"),
    (lambda r: r.every(tick, 15), "the interval is 15; it must be a timedelta, or units such as seconds=15."),
    (lambda r: r.every(tick, seconds="15"), "seconds is '15'; it must be a number of seconds."),
    (lambda r: r.every(tick, minutes=float("nan")), "minutes is nan; it must be a number of minutes."),
    (lambda r: r.every(tick, days=1e300), "days is 1e+300; it must be a number of days."),
    (lambda r: r.every(tick, days=999_999_999, weeks=100), "is longer than"),
    (lambda r: r.every(tick, minutes=1, phase="x"), "phase is 'x'; it must be a number of seconds."),
    (lambda r: r.every(tick, minutes=1, phase=60), "phase is 60 s; it must be from 0 s to less than the interval"),
    (lambda r: r.every(tick, second=15), "every() has no option 'second'. Did you mean 'seconds'?"),
    (lambda r: r.every(tick, seconds=15, timezone="UTC"), "every() has no option 'timezone'."),
    (
        lambda r: r.when("every 7 minutes", tick, timezone="UTC"),
        "and this one runs every 7 minutes. Remove it, or write",
    ),
    (lambda r: r.daily(tick, tag="x"), "daily() has no option 'tag'. Did you mean 'tags'?"),
    (lambda r: r.daily(tick, timezone="Europe/Berln"), "timezone is 'Europe/Berln'; it must be a name such as"),
    (lambda r: r.daily(tick, timezone="Europe/Berln"), "Did you mean 'Europe/Berlin'?"),
    (lambda r: r.daily(tick, timezone="../etc/passwd"), "timezone is '../etc/passwd'"),
    (lambda r: r.daily(tick, timezone="Europe"), "timezone is 'Europe'"),
    (lambda r: r.daily(tick, timezone=""), "timezone is ''"),
    (lambda r: r.daily(tick, timezone=2), "timezone is 2;"),
    (lambda r: r.cron("61 * * * *", tick), "the cron expression '61 * * * *' cannot be understood"),
    (lambda r: r.cron("0 0 31 2 *", tick), "never fires"),
    (lambda r: r.when("evry 5 mins", tick), "Did you mean 'every 5 minutes'?"),
    (lambda r: r.when(5, tick), "the schedule is 5; it must be text"),
    (lambda r: r.once(tick, at="tomorrow"), "at is 'tomorrow'; it must be a datetime, or text such as"),
    (lambda r: r.once(tick, at=5), "at is 5; it must be a datetime"),
    (lambda r: r.hourly(tick, start="soon"), "start is 'soon'; it must be a datetime"),
    (lambda r: r.hourly(tick, start="2026-12-02", end="2026-12-01"), "end must be later than start"),
    (lambda r: r.hourly(tick, misfire="twice"), 'misfire is \'twice\'; it must be "skip", "once" or "all".'),
    (lambda r: r.hourly(tick, misfire=["all"]), "misfire is ['all'];"),
    (lambda r: r.hourly(tick, grace=-1), "grace is -1 s; it must be 0 s or more."),
    (lambda r: r.hourly(tick, grace="x"), "grace is 'x'; it must be a number of seconds."),
    (lambda r: r.hourly(tick, grace=timedelta(days=2)), "grace is 172800 s; it must be at most 86400 s, because"),
    (lambda r: r.hourly(tick, cap=0), "cap is 0; it must be a whole number from 1 to 1000."),
    (lambda r: r.hourly(tick, cap=True), "cap is True;"),
    (lambda r: r.hourly(tick, run_on_start=1), "run_on_start is 1; it must be True or False."),
    (lambda r: r.hourly(tick, queue="nowhere"), "queue is 'nowhere': Queue 'nowhere' is not valid"),
    (lambda r: r.hourly(tick, jitter=-1), "jitter is -1 s; it must be 0 s or more."),
    (lambda r: r.hourly(tick, jitter="x"), "jitter is 'x'; it must be a number of seconds."),
    (
        lambda r: r.hourly()(plain),
        "tasks.plain is a plain function; decorate it with @task. A decorator of scheduler belongs above @task.",
    ),
    (lambda r: r.cron(tick, "* * * * *"), "Write the text first: scheduler.cron('* * * * *', task)"),
    (lambda r: r.every_minute(plain), "tests.unit.scheduler.tasks.plain is a plain function; decorate it with @task."),
    (
        lambda r: r.every_minute("shop.tasks.sync"),
        "'shop.tasks.sync' is not a task. Import the task and pass it; LOCO[\"SCHEDULE\"] takes its path.",
    ),
    (lambda r: r.cron("0 2 * * *", "shop.tasks.sync"), "'shop.tasks.sync' is not a task. Import the task and pass it"),
    (lambda r: r.every_minute(None), "None is not a task."),
    (
        lambda r: r.every_minute(send),
        "tasks.send(user_id: int, *, template: str = 'plain') -> None: missing a required",
    ),
    (lambda r: r.every_minute(send, args=[1, 2]), "do not fit tests.unit.scheduler.tasks.send"),
    (lambda r: r.every_minute(send, args=[1], kwargs={"to": 2}), "got an unexpected keyword argument 'to'"),
    (lambda r: r.every_minute(report), "missing a required argument: 'day'"),
    (lambda r: r.every_minute(send, args="5"), "args is '5'; it must be a list"),
    (lambda r: r.every_minute(send, args=5), "args is 5; it must be a list"),
    (lambda r: r.every_minute(send, kwargs=[5]), "kwargs is [5]; it must be a dict"),
    (
        lambda r: r.every_minute(send, args=[{1, 2}]),
        "tests.unit.scheduler.tasks.send: argument 0 cannot be stored as JSON",
    ),
    (lambda r: r.every_minute(send, kwargs={"user_id": time(4)}), "'user_id' cannot be stored as JSON"),
    (lambda r: r.every_minute(tick, name=""), "name is ''; it must be text"),
    (lambda r: r.every_minute(tick, name=5), "name is 5; it must be text"),
    (lambda r: r.every_minute(tick, name="x" * 201), "at most 200 characters"),
    (lambda r: r.every_minute(tick, name="two\nlines"), "it must be text of one line"),
    (lambda r: r.every_minute(tick, tags="mail"), "tags is 'mail'; it must be a list of words."),
    (lambda r: r.every_minute(tick, tags=[""]), "tags is ['']; it must be a list of words."),
    (lambda r: r.every_minute(tick, tags=5), "tags is 5; it must be a list of words."),
]


@pytest.mark.parametrize(("declare", "problem"), WRONG, ids=[problem for _, problem in WRONG])
def test_what_is_wrong_is_told_with_what_is_allowed(registry, declare, problem):
    with pytest.raises(LocoConfigurationError) as caught:
        declare(registry)
    assert problem in str(caught.value)
    assert str(caught.value).startswith("Schedule ")
    assert registry.entries() == []


@pytest.mark.parametrize(("declare", "problem"), WRONG, ids=[problem for _, problem in WRONG])
def test_a_wrong_schedule_turns_off_only_itself(lenient, declare, problem):
    lenient.every_minute(tick, name="before")
    declare(lenient)
    lenient.every_minute(tick, name="after")
    assert [entry.name for entry in lenient.entries()] == ["before", "after"]
    (found,) = lenient.problems()
    assert problem in found.message


def test_a_wrong_schedule_is_named_with_its_line(caplog):
    registry = Registry()
    registry.hourly(tick, at=75, name="digest")
    (problem,) = registry.problems()
    assert problem.schedule == "digest"
    assert problem.message.startswith("Schedule 'digest': at is 75;")
    line = test_a_wrong_schedule_is_named_with_its_line.__code__.co_firstlineno + 2
    assert f"Correct scheduler.hourly() at {__file__}:{line}." in problem.hint
    assert problem.message in caplog.text


def test_a_mistake_that_is_reported_otherwise_is_logged_later_and_once(caplog):
    registry = Registry()
    with registry.keeping_problems():
        registry.hourly(tick, at=75, name="digest")
    assert len(registry.problems()) == 1
    assert caplog.text == ""
    registry.log_problems()
    registry.log_problems()
    assert caplog.text.count("Schedule 'digest': at is 75;") == 1


def test_of_two_schedules_of_one_name_the_second_is_off(lenient):
    lenient.every_minute(tick)
    lenient.hourly(tick)
    assert [str(entry.trigger) for entry in lenient.entries()] == ["every minute"]
    (problem,) = lenient.problems()
    line = test_of_two_schedules_of_one_name_the_second_is_off.__code__.co_firstlineno
    assert f"two schedules have this name, at {__file__}:{line + 1} and at {__file__}:{line + 2};" in problem.message
    assert "name=" in problem.message


@pytest.mark.parametrize("name", ["lost", "loop", "behind"])
def test_a_schedule_that_is_off_because_of_another_cannot_be_run(lenient, name):
    lenient.after("nothing", tick, name="lost")
    lenient.after("loop", tick, name="loop")
    lenient.after("lost", tick, name="behind")
    for call in (lenient.entry, lenient.run):
        with pytest.raises(LocoConfigurationError, match=rf"Schedule '{name}': after .* Correct it at {__file__}"):
            call(name)


def test_two_schedules_of_one_task_with_names(registry):
    registry.every_minute(tick, name="often")
    registry.hourly(tick, name="seldom")
    assert [entry.name for entry in registry.entries()] == ["often", "seldom"]


def test_a_task_on_another_backend_is_refused(registry):
    other = f"{BaseTaskBackend.__module__.removesuffix('.base')}.dummy.DummyBackend"
    with override_settings(TASKS={"default": {"BACKEND": other}}), pytest.raises(LocoConfigurationError) as error:
        registry.every_minute(tick)
    assert f"TASKS['default'], is {other}." in str(error.value)
    assert "django_loco.backend.LocoBackend" in str(error.value)


def test_a_backend_that_cannot_be_had_turns_off_only_its_schedules(lenient):
    with override_settings(TASKS={"default": {"BACKEND": "no.such.Backend"}}):
        lenient.every_minute(tick)
    (problem,) = lenient.problems()
    assert "no.such.Backend" in problem.message


def test_the_public_names_are_the_projects_schedules():
    names = [
        "every",
        "every_minute",
        "hourly",
        "daily",
        "weekly",
        "monthly",
        "cron",
        "when",
        "once",
        "expose",
    ]
    assert {getattr(scheduler, name).__self__ for name in names} == {default}


@pytest.fixture
def app(tmp_path, monkeypatch, caplog):
    """Makes an app with a ``schedules.py``."""
    caplog.set_level(logging.CRITICAL, "django_loco.scheduler")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(tasks, "registry", Registry(autodiscover=True))
    made = []

    def make(name, schedules, tasks=None):
        (tmp_path / name).mkdir()
        if tasks is not None:
            (tmp_path / name / "tasks.py").write_text(f"from tests.unit.scheduler.tasks import *\n{tasks}\n")
        (tmp_path / name / "__init__.py").write_text("")
        if schedules is not None:
            (tmp_path / name / "schedules.py").write_text(f"from tests.unit.scheduler.tasks import *\n{schedules}\n")
        made.append(name)

    yield make
    for module in [module for module in sys.modules if module.partition(".")[0] in made]:
        del sys.modules[module]


def discovered(*apps):
    with override_settings(INSTALLED_APPS=apps):
        return [entry.name for entry in tasks.registry.entries()]


def test_schedules_are_found_in_every_app(app):
    app("first_app", "registry.every_minute(tick, name='first')")
    app("second_app", None)
    app("third_app", "registry.every_minute(tick, name='third')")
    assert discovered("first_app", "second_app", "third_app") == ["first", "third"]
    assert tasks.registry.problems() == []


def test_schedules_are_looked_for_once_and_not_before_they_are_asked_for(app):
    app("lazy_app", "registry.every_minute(tick, name='lazy')")
    with override_settings(INSTALLED_APPS=["lazy_app"]):
        assert "lazy_app.schedules" not in sys.modules
        assert [entry.name for entry in tasks.registry.entries()] == ["lazy"]
        del sys.modules["lazy_app.schedules"]
        assert [entry.name for entry in tasks.registry.entries()] == ["lazy"]
        assert tasks.registry.problems() == []


def test_schedules_above_tasks_are_found_in_every_app(app):
    declared = "@registry.cron('0 3 * * *', name='nightly')\n@task\ndef sweep(): pass"
    app("first_app", None, f"from django_loco.tasks import task\n{declared}")
    app("second_app", "registry.every_minute(tick, name='second')")
    assert discovered("first_app", "second_app") == ["second", "nightly"]
    with override_settings(INSTALLED_APPS=["first_app"]):
        assert {entry.task.module_path for entry in tasks.registry.entries()} >= {"first_app.tasks.sweep"}
    assert tasks.registry.problems() == []


def test_a_module_of_tasks_that_cannot_be_imported_need_not_have_schedules(app):
    app("first_app", "registry.every_minute(tick, name='first')", "import missing_module")
    assert discovered("first_app") == ["first"]
    (problem,) = tasks.registry.problems()
    assert (problem.schedule, problem.is_certain) == ("first_app.tasks", False)


@pytest.mark.parametrize("fault", ["import missing_module", "1 / 0", "def broken(:"])
def test_a_module_that_cannot_be_imported_turns_off_only_its_own(app, fault):
    app("good_app", "registry.every_minute(tick, name='good')")
    app("bad_app", f"registry.every_minute(tick, name='bad')\n{fault}")
    app("late_app", "registry.every_minute(tick, name='late')")
    assert discovered("good_app", "bad_app", "late_app") == ["good", "late"]
    (problem,) = tasks.registry.problems()
    assert problem.schedule == "bad_app.schedules"
    assert "bad_app.schedules cannot be imported: " in problem.message
    assert "schedules.py:3" in problem.message or "schedules.py, line 3" in problem.message


@pytest.mark.parametrize("module", ["tasks", "schedules"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("\n@task(queue_name='emials')\ndef f(): pass", "InvalidTask"),
        ("\nimport_string('no_such_module.name')", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("\nimport_module('no_such_module')", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("\nint('a')", "ValueError: invalid literal for int"),
        ("\neval('1 +')", "SyntaxError: invalid syntax (<string>, line 1)"),
        ("\ndef broken(:", "SyntaxError: invalid syntax ("),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_the_line_of_the_project(app, tmp_path, module, fault, error):
    imports = (
        "from importlib import import_module; from django.utils.module_loading import import_string; "
        "from django_loco.tasks import task"
    )
    app("bad_app", **{"schedules": None, module: f"{imports}{fault}"})
    assert discovered("bad_app") == []
    (problem,) = tasks.registry.problems()
    assert problem.message.startswith(f"bad_app.{module} cannot be imported: {error}")
    assert problem.message.endswith(f"({tmp_path}/bad_app/{module}.py:3)")


def test_arguments_of_the_task_beside_it_say_where_they_belong(app):
    app("bad_app", "registry.every_minute(send, 5)")
    assert discovered("bad_app") == []
    (problem,) = tasks.registry.problems()
    assert problem.message.endswith("schedules.py:2) The arguments of the task go into args=[...] and kwargs={...}.")


def test_a_module_that_another_one_imports_keeps_its_schedules(app):
    app("base_app", "registry.every_minute(tick, name='base')")
    app("bad_app", "import base_app.schedules\nregistry.every_minute(tick, name='bad')\n1 / 0")
    assert discovered("bad_app", "base_app") == ["base"]
