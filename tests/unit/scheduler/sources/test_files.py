"""Schedules in a file: TOML, YAML, and loco-rs's scheduler.yaml."""

import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings

from django_loco.scheduler import Cron, Interval
from django_loco.scheduler.triggers.trigger import Once

from ..tasks import send
from .support import registry

TASKS = "tests.unit.scheduler.tasks"
BERLIN = ZoneInfo("Europe/Berlin")
MOMENT = datetime(2026, 11, 21, 5, 30, tzinfo=UTC)


def test_one_name_in_two_places(tmp_path):
    (tmp_path / "more.toml").write_text(f'[jobs.it]\nrun = "{TASKS}.tick"\nschedule = "daily"\n')
    found = registry({"it": {"run": f"{TASKS}.tick", "schedule": "hourly"}}, SCHEDULE_FILE=tmp_path / "more.toml")
    assert [str(made.trigger) for made in found.entries()] == ["0 * * * *"]
    (made,) = found.problems()
    assert "two schedules have this name, at LOCO['SCHEDULE'] and at LOCO['SCHEDULE_FILE']" in made.message


TOML = f"""
timezone = "Europe/Berlin"

[jobs.nightly]
run = "{TASKS}.send"
schedule = "0 4 * * *"
args = [5]
kwargs = {{ template = "fancy" }}
tags = ["mail"]

[jobs.launch]
run = "{TASKS}.tick"
at = 2026-12-24 18:00:00

[jobs.often]
run = "{TASKS}.tick"
schedule = {{ minutes = 5, phase = 30 }}

[jobs.elsewhere]
run = "{TASKS}.tick"
schedule = "at 4:00"
timezone = "America/New_York"
"""


YAML = f"""
timezone: Europe/Berlin
jobs:
  nightly:
    run: {TASKS}.send
    schedule: 0 4 * * *
    args: [5]
    kwargs: {{template: fancy}}
    tags: [mail]
  launch:
    run: {TASKS}.tick
    at: 2026-12-24 18:00:00
  often:
    run: {TASKS}.tick
    schedule: {{minutes: 5, phase: 30}}
  elsewhere:
    run: {TASKS}.tick
    schedule: at 4:00
    timezone: America/New_York
"""


#: As loco-rs has it; its tasks are management commands here.
LOCO_RS = """
output: stdout
jobs:
  write_content:
    shell: true
    run: "echo loco >> ./scheduler.txt"
    schedule: run every 1 second
    output: silent
    tags: ['base', 'infra']
  run_task:
    run: "check"
    schedule: "at 10:00 am"
  list_if_users:
    run: "check --tag loco"
    shell: false
    run_on_start: true
    schedule: "* 2 * * * *"
    tags:
      - base
      - users
"""


def from_file(tmp_path, text, name="schedule.yaml", **loco):
    (tmp_path / name).write_text(text)
    return registry(SCHEDULE_FILE=name, **loco)


@pytest.fixture(autouse=True)
def base_dir(tmp_path):
    with override_settings(BASE_DIR=tmp_path):
        yield


@pytest.mark.parametrize(("name", "text"), [("schedule.toml", TOML), ("schedule.yaml", YAML), ("schedule.yml", YAML)])
def test_a_file(tmp_path, name, text):
    found = from_file(tmp_path, text, name)
    assert found.problems() == []
    nightly, launch, often, elsewhere = found.entries()
    assert (nightly.trigger, nightly.task, nightly.tags) == (Cron("0 4 * * *", BERLIN), send, ("mail",))
    assert (list(nightly.args), nightly.kwargs) == ([5], {"template": "fancy"})
    assert launch.trigger == Once(datetime(2026, 12, 24, 17, tzinfo=UTC), BERLIN)
    assert often.trigger == Interval(timedelta(minutes=5), timedelta(seconds=30))
    assert elsewhere.trigger == Cron("0 4 * * *", ZoneInfo("America/New_York"))
    assert name in str(nightly.location)


@pytest.mark.parametrize("text", [LOCO_RS, "scheduler:\n" + LOCO_RS.replace("\n", "\n  ")])
def test_a_scheduler_yaml_of_loco_rs(tmp_path, text):
    found = from_file(tmp_path, text, ALLOW_SHELL=True)
    assert found.problems() == []
    shell, daily, often = found.entries()
    assert [made.name for made in found.entries()] == ["write_content", "run_task", "list_if_users"]
    assert [str(made.trigger) for made in found.entries()] == ["* * * * * *", "0 10 * * *", "* 2 * * * *"]
    assert (list(shell.args), shell.kwargs) == (["echo loco >> ./scheduler.txt"], {"silent": True})
    assert (list(daily.args), daily.tags) == (["check"], ())
    assert (list(often.args), often.tags, often.run_on_start) == (["check", "--tag", "loco"], ("base", "users"), True)


def test_of_a_file_only_what_is_wrong_is_off(tmp_path):
    found = from_file(tmp_path, LOCO_RS)
    assert [made.name for made in found.entries()] == ["run_task", "list_if_users"]
    (made,) = found.problems()
    assert made.schedule == "write_content"
    assert "ALLOW_SHELL" in made.message
    assert "schedule.yaml" in made.hint


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("schedule.yaml", "jobs: [", "cannot be understood: while parsing"),
        ("schedule.toml", "[jobs", "cannot be understood: "),
        ("schedule.yaml", "", "it must have the key jobs, with the jobs by name."),
        ("schedule.yaml", "jobs: 5", "it must have the key jobs, with the jobs by name."),
        ("schedule.yaml", "jobs: {}\nouput: silent", "'ouput' is unknown. Did you mean 'output'?"),
        (
            "schedule.yaml",
            "jobs:\n  a: {run: check, schedule: hourly}\n  a: {run: check}",
            "the name 'a' is used twice.",
        ),
        ("schedule.toml", "[jobs.a]\n[jobs.a]", "cannot be understood: Cannot declare"),
        ("schedule.json", "{}", "it must be a .toml or .yaml file, not .json."),
        ("schedule", "{}", "not one without an extension."),
        (
            "schedule.yaml",
            "jobs: !!python/object/apply:os.system ['true']",
            "cannot be understood: could not determine",
        ),
    ],
)
def test_a_file_that_is_wrong_turns_off_only_its_own(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    found = registry({"it": {"run": f"{TASKS}.tick", "schedule": "hourly"}}, SCHEDULE_FILE=name)
    assert [made.name for made in found.entries()] == ["it"]
    (made,) = found.problems()
    assert made.message.startswith(f"LOCO['SCHEDULE_FILE'], {tmp_path / name}")
    assert told in made.message


def test_a_file_that_is_not_there(tmp_path):
    (made,) = registry(SCHEDULE_FILE="nowhere.toml").problems()
    assert (
        made.message
        == f"LOCO['SCHEDULE_FILE'], {tmp_path / 'nowhere.toml'}, cannot be read: No such file or directory."
    )


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "schedule.toml").write_bytes(b"\xff\xfe")
    (made,) = registry(SCHEDULE_FILE=tmp_path / "schedule.toml").problems()
    assert "cannot be understood: 'utf-8' codec" in made.message


def test_yaml_without_pyyaml(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "django_loco.scheduler.sources.yaml_text", raising=False)
    monkeypatch.setitem(sys.modules, "yaml", None)
    (made,) = from_file(tmp_path, YAML).problems()
    assert 'YAML needs PyYAML: pip install "django-loco[yaml]".' in made.message
