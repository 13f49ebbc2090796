"""``loco_scheduler`` with the options that show, check and run schedules."""

import json
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test import override_settings

from django_loco import jobs, scheduler
from django_loco.assembly.components import component_specs
from django_loco.assembly.run_options import RunOptions
from django_loco.exceptions import LocoConfigurationError, QueueUnavailable
from django_loco.management import schedules
from django_loco.queues import queue_for
from django_loco.scheduler import Registry
from django_loco.scheduler.registry import default
from django_loco.worker.in_process import worker_for
from tests.unit.scheduler.tasks import send, tick

from ...conftest import ON_POSTGRES

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 21, 5, 30, tzinfo=UTC)


@pytest.fixture
def registry(monkeypatch):
    """The project's schedules."""
    made = Registry(strict=True)
    made.daily(tick, at="04:00", timezone="Europe/Berlin", name="nightly", tags=["shop", "night"])
    made.every(send, minutes=7, args=[5], name="often", tags=["shop"])
    made.cron("*/15 * * * * *", tick, name="plain")
    monkeypatch.setattr(default, "_undiscovered", False)
    monkeypatch.setattr(default, "_entries", made._entries)
    monkeypatch.setattr(default, "_problems", made._problems)
    monkeypatch.setattr(schedules, "utcnow", lambda: NOW)
    monkeypatch.setattr("django_loco.scheduler.api.upcoming.utcnow", lambda: NOW)
    monkeypatch.setattr("django_loco.scheduler.registry.utcnow", lambda: NOW)
    made._strict = False
    return made


@pytest.fixture
def said(registry, capsys):
    """Calls the command and returns what it wrote to stdout, and to stderr."""

    def call(*arguments):
        call_command("loco_scheduler", *arguments)
        return capsys.readouterr()

    return call


def test_a_list(said):
    heading, *lines = said("--list").out.splitlines()
    assert heading.split("  ")[0] == "NAME"
    assert len(lines) == 3 * schedules.RUNS
    assert lines[0].startswith("nightly  0 4 * * *")
    assert "every day at 04:00  Europe/Berlin  2026-11-22 04:00:00 CET" in lines[0]
    assert "shop, night" in lines[0]
    assert f"{__file__}:" in lines[0]
    assert lines[1].split() == ["2026-11-23", "04:00:00", "CET", "tests.unit.scheduler.tasks.tick"]
    assert "every 7 minutes" in lines[5]
    assert "every 15 seconds" in lines[10]


def test_a_list_for_programs(said):
    nightly, often, plain = json.loads(said("--list", "--format", "json").out)
    assert (nightly["name"], nightly["schedule"], nightly["words"]) == ("nightly", "0 4 * * *", "every day at 04:00")
    assert (nightly["zone"], nightly["tags"], nightly["last_run"]) == ("Europe/Berlin", ["shop", "night"], None)
    assert nightly["next_runs"] == [f"2026-11-{day}T04:00:00+01:00" for day in range(22, 27)]
    assert nightly["task"] == "tests.unit.scheduler.tasks.tick"
    assert __file__ in nightly["source"]
    assert (often["schedule"], often["zone"]) == ("every 7 minutes", "")
    assert len(plain["next_runs"]) == 5


@pytest.mark.parametrize(
    ("tags", "names"),
    [(["shop"], ["nightly", "often"]), (["night"], ["nightly"]), (["shop", "night"], ["nightly", "often"])],
)
def test_a_tag_leaves_out_what_has_no_tags(said, tags, names):
    options = [word for tag in tags for word in ("--tag", tag)]
    assert [row["name"] for row in json.loads(said("--list", "--format", "json", *options).out)] == names
    assert {row["name"] for row in json.loads(said("--preview", "24h", "--format", "json", *options).out)} == set(names)


def test_a_tag_that_no_schedule_has(said):
    with pytest.raises(CommandError, match=r"No schedule has the tag 'shpo'\. Did you mean 'shop'"):
        said("--list", "--tag", "shpo")


def test_a_scheduler_fires_only_what_has_the_tag(registry):
    (part, *_) = component_specs(RunOptions(scheduler=True, schedules=("night",)))
    made = part.make()
    made.load()
    assert [entry.name for entry in made._by_alias["default"].timetable.due_heap.entries] == ["nightly"]


def test_what_is_off_is_told_beside_the_list(said, registry):
    registry.hourly(tick, at=75, name="digest")
    shown = said("--list")
    assert "digest" not in shown.out
    assert "Schedule 'digest': at is 75;" in shown.err


def test_a_project_whose_schedules_are_all_wrong(said, registry):
    registry._entries.clear()
    registry.hourly(tick, at=75, name="digest")
    registry.after("nightly", tick, name="mail")
    shown = said("--list")
    assert shown.out == "No schedule can run: 2 are wrong, as the list below shows.\n"
    assert "Schedule 'digest': at is 75;" in shown.err
    assert "Schedule 'mail': after is 'nightly', which is not a schedule. Correct" in shown.err


def test_a_project_without_schedules(said, registry):
    registry._entries.clear()
    assert "There are no schedules." in said("--list").out
    assert json.loads(said("--list", "--format", "json").out) == []
    assert "No schedule is due within this time." in said("--preview", "24h").out
    assert "All 0 schedules are valid." in said("--check").out
    registry.hourly(tick, name="alone")
    assert "The only schedule is valid." in said("--check").out


def test_the_last_run(said):
    """First it waits, then it has run."""
    (job_id,) = [word for word in said("--run", "often").out.split() if len(word) == 32]
    assert last(said) == {"at": NOW.isoformat(), "status": "READY", "job": job_id}
    worker = worker_for("default", drain=True)
    worker.start()
    assert worker.join(30)
    assert last(said)["status"] == "SUCCESSFUL"
    assert f"SUCCESSFUL {job_id}" in said("--list").out


def last(said):
    return {row["name"]: row["last_run"] for row in json.loads(said("--list", "--format", "json").out)}["often"]


def test_the_last_run_is_the_latest(said, registry):
    entry = registry.entry("often")
    for minutes in (7, 21, 14):
        tick_at = NOW + timedelta(minutes=minutes)
        entry.task.get_backend().enqueue_tick(entry.task, entry.args, {}, key=entry.key(tick_at), tick=tick_at)
    assert last(said)["at"] == (NOW + timedelta(minutes=21)).isoformat()


def test_a_list_while_the_store_is_away(said, monkeypatch):
    def away(self, **options):
        raise QueueUnavailable("away")

    monkeypatch.setattr(type(queue_for("default")), "list", away)
    assert last(said) is None


def test_a_run_now_has_the_arguments_of_the_schedule(said):
    assert "of schedule 'often' is READY." in said("--run", "often").out
    said("--run", "often")
    jobs = queue_for("default").list()
    assert [(job.task_path, job.arguments, job.due_at) for job in jobs] == [
        ("tests.unit.scheduler.tasks.send", "[[5],{}]", NOW)
    ] * 2


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("oftn", "there is no schedule 'oftn'. Did you mean 'often'?"),
        ("digest", "Schedule 'digest': at is 75; .* this schedule is off"),
    ],
)
def test_what_cannot_be_run(said, registry, name, problem):
    registry.hourly(tick, at=75, name="digest")
    with pytest.raises(CommandError, match=problem):
        said("--run", name)
    with pytest.raises(LocoConfigurationError, match=problem):
        scheduler.run(name)


def test_a_run_while_the_store_is_away(said, monkeypatch):
    def away(self, jobs):
        raise QueueUnavailable("away")

    monkeypatch.setattr(type(queue_for("default")), "enqueue", away)
    with pytest.raises(CommandError, match="Schedule 'often' was not run: away"):
        said("--run", "often")


def test_check(said, registry):
    assert said("--check").out == "All 3 schedules are valid.\n"
    registry.cron("0 0 31 2 *", tick, name="never")
    registry.hourly(tick, at=75, name="digest")
    with pytest.raises(CommandError, match="2 schedules are wrong and off; the others run"):
        said("--check")


def test_a_preview(said):
    lines = said("--preview", "1h", "--tag", "shop").out.splitlines()
    assert lines[0] == "2026-11-21 05:33:00 UTC  often  every 7 minutes"
    assert len(lines) == 9
    lines = said("--preview", "1d", "--tag", "night").out.splitlines()
    assert lines == ["2026-11-22 04:00:00 CET  nightly  every day at 04:00"]


def test_a_preview_is_in_order(said):
    rows = json.loads(said("--preview", "30m", "--format", "json").out)
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    assert len([row for row in rows if row["name"] == "plain"]) == 120


def test_a_preview_has_an_end(said):
    lines = said("--preview", "365d").out.splitlines()
    assert len(lines) == schedules.MAX_RUNS + 1
    assert lines[-1].startswith("... and more.")


def test_a_preview_for_programs_lacks_no_run(said):
    rows = json.loads(said("--preview", "10h", "--format", "json").out)
    assert len([row for row in rows if row["name"] == "plain"]) == 10 * 60 * 4
    assert json.loads(said("--preview", "5s", "--tag", "night", "--format", "json").out) == []


def test_the_other_actions_for_programs(said, registry):
    told = json.loads(said("--run", "often", "--format", "json").out)
    assert (told["schedule"], told["status"]) == ("often", "READY")
    assert jobs.get(told["job"]).task_path == "tests.unit.scheduler.tasks.send"
    for flag, paused, changed in (("--pause", True, True), ("--pause", True, False), ("--resume", False, True)):
        told = json.loads(said(flag, "often", "--format", "json").out)
        assert told == {"schedule": "often", "paused": paused, "changed": changed}
    assert json.loads(said("--check", "--format", "json").out) == {"valid": 3, "problems": []}


def test_a_failed_check_for_programs(registry, capsys):
    registry.hourly(tick, at=75, name="digest")
    with pytest.raises(CommandError, match="1 schedule is wrong"):
        call_command("loco_scheduler", "--check", "--format", "json")
    told = json.loads(capsys.readouterr().out)
    assert told["valid"] == 3
    assert [(problem["schedule"], problem["is_certain"]) for problem in told["problems"]] == [("digest", True)]


def test_a_scheduler_that_runs_has_no_format():
    with pytest.raises(CommandError, match=r"LOCO\['LOG_FORMAT'\]"):
        call_command("loco_scheduler", "--format", "json")


@pytest.mark.parametrize("option", [["--list"], ["--list", "--format", "json"], ["--preview", "1h"]])
def test_a_schedule_that_cannot_be_computed_hides_no_other(said, monkeypatch, option):
    monkeypatch.setattr("django_loco.scheduler.triggers.trigger.Interval.words", property(lambda interval: 1 / 0))
    out = said(*option).out
    assert "plain" in out
    assert "often" not in out


def test_a_check_fails_for_a_schedule_that_cannot_be_computed(said, monkeypatch):
    monkeypatch.setattr("django_loco.scheduler.triggers.trigger.Interval.words", property(lambda interval: 1 / 0))
    with pytest.raises(CommandError, match=r"1 schedule cannot be shown; the log says why\."):
        said("--check")


@pytest.mark.parametrize("text", ["", "24", "h", "0h", "-1h", "1.5h", "1y", "9999999h", "999999w"])
def test_a_length_of_time(text):
    with pytest.raises(ArgumentTypeError, match="Write 90m, 24h or 7d"):
        schedules.length(text)


def test_a_preview_with_jitter_shows_when_jobs_may_run(said, registry):
    with override_settings(TIME_ZONE="Europe/Berlin"):
        registry.every(tick, hours=1, jitter=600, name="spread", tags=["spread"])
        (row,) = json.loads(said("--preview", "1h", "--tag", "spread", "--format", "json").out)
    assert "2026-11-21T07:00:00+01:00" < row["at"] < "2026-11-21T07:10:00+01:00"


@pytest.mark.skipif(ON_POSTGRES, reason="about SQLite; runs when LOCO_TEST_DATABASE is sqlite")
@pytest.mark.parametrize("name", ["text.sqlite3", "missing/db.sqlite3"])
def test_a_file_that_is_no_database_is_named_with_the_remedy(said, registry, monkeypatch, tmp_path, name):
    (tmp_path / "text.sqlite3").write_text("not a database" * 100)
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "NAME", str(tmp_path / name))
        assert said("--list", "--skip-checks").out.startswith("NAME")
        call_command("loco_scheduler", "--check", skip_checks=False)
        for command in (["loco_scheduler", "--run", "none"], ["loco_import", "celery-beat"]):
            with pytest.raises(CommandError, match=r"are in DATABASES\['default'\], which .*: correct|or correct DATA"):
                call_command(*command, skip_checks=False)
        connection.close()
