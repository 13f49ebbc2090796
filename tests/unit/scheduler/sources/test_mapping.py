"""Schedules as data: in the settings, and in a file."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings

from django_loco.exceptions import LocoConfigurationError
from django_loco.scheduler import Cron, Interval, Registry
from django_loco.scheduler.triggers.trigger import Once

from ..tasks import send, tick
from .support import registry

TASKS = "tests.unit.scheduler.tasks"
BERLIN = ZoneInfo("Europe/Berlin")
MOMENT = datetime(2026, 11, 21, 5, 30, tzinfo=UTC)


def entry(**item):
    found = registry({"it": item}, ALLOW_SHELL=True)
    assert found.problems() == []
    (made,) = found.entries()
    return made


def problem(item, **loco):
    found = registry({"other": {"run": f"{TASKS}.tick", "schedule": "hourly"}, "it": item}, **loco)
    assert [made.name for made in found.entries()] == ["other"]
    (made,) = found.problems()
    assert made.schedule == "it"
    assert made.message.startswith("Schedule 'it': ")
    assert "LOCO['SCHEDULE']" in made.hint
    return made.message


def test_a_task_with_all_there_is():
    made = entry(
        run=f"{TASKS}.send",
        schedule="every day at 4:00 pm",
        args=[5],
        kwargs={"template": "fancy"},
        tags=["mail", "nightly"],
        run_on_start=True,
        timezone="Europe/Berlin",
        queue="emails",
        priority=10,
        max_attempts=3,
        timeout=20,
        expires=50,
        jitter=30,
    )
    assert (made.name, made.trigger) == ("it", Cron("0 16 * * *", BERLIN))
    assert made.task == send.using(queue_name="emails", priority=10, max_attempts=3, timeout=20, expires=50)
    assert (list(made.args), made.kwargs) == ([5], {"template": "fancy"})
    assert (made.tags, made.run_on_start, made.jitter) == (("mail", "nightly"), True, timedelta(seconds=30))
    assert str(made.location) == "LOCO['SCHEDULE']"


@pytest.mark.parametrize(
    ("schedule", "trigger"),
    [
        ("every 15 minutes", Cron("*/15 * * * *", UTC)),
        ("0 30 9 * * mon", Cron("0 30 9 * * mon", UTC)),
        ("@daily", Cron("@daily", UTC)),
        ("every 7 minutes", Interval(timedelta(minutes=7))),
        ({"minutes": 5, "phase": 30}, Interval(timedelta(minutes=5), timedelta(seconds=30))),
    ],
)
def test_when(schedule, trigger):
    with override_settings(TIME_ZONE="Europe/Berlin"):
        made = entry(run=f"{TASKS}.tick", schedule=schedule)
    assert str(made.trigger) == str(trigger)
    assert made.trigger.zone == (BERLIN if trigger.zone else None)


def test_a_single_run():
    made = entry(run=f"{TASKS}.tick", at="2026-12-24 18:00", timezone="Europe/Berlin")
    assert made.trigger == Once(datetime(2026, 12, 24, 17, tzinfo=UTC), BERLIN)


def test_a_management_command():
    made = entry(run="check --tag 'loco'", schedule="hourly", args=["--deploy"], timeout=60)
    assert made.task.module_path == "django_loco.scheduler.actions.command"
    assert (list(made.args), made.kwargs) == (["check", "--tag", "loco", "--deploy"], {})
    assert made.task.timeout == 60


def test_a_shell_command():
    item = {"run": "echo $HOME | wc -c", "shell": True, "output": "silent", "schedule": "hourly"}
    made = entry(**item)
    assert made.task.module_path == "django_loco.scheduler.actions.shell"
    assert (list(made.args), made.kwargs) == (["echo $HOME | wc -c"], {"silent": True})


WRONG = [
    (5, "it is 5; it must be a dict with run and schedule."),
    ({"schedule": "hourly"}, "run is None; it must be the dotted path of a task, or a management command"),
    ({"run": "", "schedule": "hourly"}, "run is ''"),
    ({"run": "'", "schedule": "hourly"}, "cannot be split into words"),
    (
        {"run": f"{TASKS}.tick"},
        "it does not say when to run; it must have one of schedule, at (a single run) and after (",
    ),
    ({"run": f"{TASKS}.tick", "schedule": "hourly", "at": "2026-12-24"}, "it has schedule and at; it must have one of"),
    ({"run": f"{TASKS}.tick", "shedule": "hourly"}, "'shedule' is unknown. Did you mean 'schedule'?"),
    ({"tsk": f"{TASKS}.tick", "schedule": "hourly"}, "'tsk' is unknown. Did you mean 'run'?"),
    ({"task": f"{TASKS}.tick", "schedule": "hourly"}, "'task' is unknown. Did you mean 'run'?"),
    ({"run": f"{TASKS}.tick", "crontab": "0 3 * * *"}, "'crontab' is unknown. Did you mean 'schedule'?"),
    ({"run": f"{TASKS}.tick", 5: "hourly"}, "5 is unknown. Choices are: run, "),
    ({"run": "no.such.task", "schedule": "hourly"}, "run is 'no.such.task', which cannot be imported as a task: "),
    ({"run": f"{TASKS}.tok", "schedule": "hourly"}, 'does not define a "tok"'),
    ({"run": f"{TASKS}.tikc", "schedule": "hourly"}, "Did you mean 'tick'?"),
    ({"run": f"{TASKS}.plain", "schedule": "hourly"}, "is not a task here, but a function. Is it still decorated"),
    ({"run": f"{TASKS}.tick 5", "schedule": "hourly"}, "with arguments; put them into args"),
    ({"run": f"{TASKS}.send", "schedule": "hourly"}, "missing a required argument: 'user_id'"),
    ({"run": f"{TASKS}.tick", "schedule": "evry 5 mins"}, "Did you mean 'every 5 minutes'?"),
    ({"run": f"{TASKS}.tick", "schedule": "0 0 31 2 *"}, "never fires"),
    ({"run": f"{TASKS}.tick", "schedule": {"seconds": 0}}, "the interval is 0 s"),
    ({"run": f"{TASKS}.tick", "schedule": 15}, "the schedule is 15; it must be text"),
    ({"run": f"{TASKS}.tick", "schedule": "hourly", "timezone": "Europe/Berln"}, "Did you mean 'Europe/Berlin'?"),
    (
        {"run": f"{TASKS}.tick", "schedule": {"days": 1}, "timezone": "Europe/Berlin"},
        "timezone is for schedules on a wall clock, and this one runs every day. Remove it, or write days and times",
    ),
    (
        {"run": f"{TASKS}.tick", "after": "other", "timezone": "Europe/Berlin"},
        "timezone is for schedules on a wall clock, and this one runs when a run of other has succeeded.",
    ),
    ({"run": f"{TASKS}.tick", "schedule": "hourly", "queue": "nowhere"}, "queue is 'nowhere': Queue 'nowhere' is not"),
    ({"run": f"{TASKS}.tick", "schedule": "hourly", "priority": 101}, "priority is 101: priority must be"),
    ({"run": f"{TASKS}.tick", "schedule": "hourly", "priority": "high"}, "priority is 'high': "),
    ({"run": f"{TASKS}.tick", "schedule": "hourly", "backend": "nowhere"}, "'nowhere'"),
    ({"run": f"{TASKS}.tick", "schedule": "hourly", "run_on_start": "yes"}, "run_on_start is 'yes'; it must be True"),
    ({"run": f"{TASKS}.tick", "schedule": "hourly", "tags": "mail"}, "tags is 'mail'; it must be a list"),
    ({"run": f"{TASKS}.tick", "schedule": "hourly", "output": "loud"}, "output is 'loud'; it must be"),
    ({"run": f"{TASKS}.tick", "schedule": "hourly", "shell": "yes"}, "shell is 'yes'; it must be True or False."),
    ({"run": "clearsesions", "schedule": "hourly"}, "there is no management command 'clearsesions'."),
    ({"run": "migrat", "schedule": "hourly"}, "Did you mean 'migrate'?"),
    ({"run": "check --nope", "schedule": "hourly"}, "run: 'check' does not take '--nope': Error: unrecognized"),
    ({"run": "check", "schedule": "hourly", "kwargs": {"a": 1}}, "kwargs are for tasks"),
    ({"run": "check", "schedule": "hourly", "args": "x"}, "args is 'x'; it must be a list of words."),
    ({"run": "rm -r /", "shell": True, "schedule": "hourly"}, "shell commands need LOCO['ALLOW_SHELL'] = True."),
]


@pytest.mark.parametrize(("item", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_is_wrong_is_told_and_turns_off_only_itself(item, told):
    assert told in problem(item)


@pytest.mark.parametrize("name", [5, "", "two\nlines"])
def test_a_name_is_a_line_of_text(name):
    (found,) = registry({name: {"run": f"{TASKS}.tick", "schedule": "hourly"}}).problems()
    assert "it must be text of one line" in found.message


def test_settings_that_are_wrong_are_told_until_they_are_right():
    found = Registry(autodiscover=True)
    with override_settings(INSTALLED_APPS=["django_loco"]):
        for _ in range(2):
            with override_settings(LOCO={"SCHEDULE": 5}), pytest.raises(LocoConfigurationError):
                found.entries()
        with override_settings(LOCO={"SCHEDULE": {"it": {"run": f"{TASKS}.tick", "schedule": "hourly"}}}):
            assert [made.task for made in found.entries()] == [tick]
