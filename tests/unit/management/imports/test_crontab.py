from __future__ import annotations

from pathlib import Path

import pytest

from django_loco.management.imports.crontab import read_crontab
from django_loco.management.imports.foreign_schedules import ForeignSchedule


def read(tmp_path: Path, *lines: str, has_user: bool = False) -> list[ForeignSchedule]:
    (tmp_path / "crontab").write_text("\n".join(lines))
    return [*read_crontab(tmp_path / "crontab", has_user=has_user)]


@pytest.mark.parametrize(
    ("command", "run"),
    [
        ("python manage.py clearsessions", "clearsessions"),
        ("/srv/venv/bin/python3.12 -u /srv/shop/manage.py sync --region eu", "sync --region eu"),
        ("cd /srv/shop && ./manage.py sync 'two words'", "sync 'two words'"),
        ("cd /srv && . venv/bin/activate && python -m django sync", "sync"),
        ("cd /srv; source venv/bin/activate; django-admin sync --settings=shop.settings --pythonpath /srv", "sync"),
        ("python manage.py sync >> /var/log/sync.log 2>&1", "sync"),
        ("python manage.py sync > /dev/null 2> /dev/null", "sync"),
        (r"python manage.py sync --day \%d", "sync --day %d"),
        ("shop.tasks.sync", "shop.tasks.sync"),
        ("python manage.py sync &>> /var/log/sync.log", "sync"),
        ("python manage.py sync 2 > /dev/null 2>&1", "sync 2"),
        ("cd ~/shop && ~/venv/bin/python ~/shop/manage.py sync > ~/log", "sync"),
        ("python manage.py sync 'old/*.tmp' \"a > b; #1\" '$HOME'", "sync 'old/*.tmp' 'a > b; #1' '$HOME'"),
        (r"python manage.py sync \*.tmp a#b a~", r"sync '*.tmp' 'a#b' 'a~'"),
    ],
)
def test_commands_that_are_ours(tmp_path: Path, command: str, run: str):
    [found] = read(tmp_path, f"5 4 * * mon-fri {command}")
    assert found.problem == ""
    assert (found.name, found.values) == (run, {"run": run, "schedule": "5 4 * * mon-fri"})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("@reboot python manage.py sync", "nothing here runs when the machine starts"),
        ("0 3 * * * pg_dump shop", "neither a management command nor the path of a task"),
        ("0 3 * * * backup.sh --all", "neither a management command nor the path of a task"),
        ("0 3 * * * python manage.py dumpdata | gzip > /b/x", "the shell does more"),
        ("0 3 * * * python manage.py a && python manage.py b", "the shell does more"),
        ("0 3 * * * python manage.py a $HOME", "the shell does more"),
        ("0 3 * * * python manage.py a `date`", "the shell does more"),
        ("0 3 * * * python manage.py a --day %d", "a percent sign"),
        ("0 3 * * * python manage.py a # nightly", "the shell does more"),
        ("0 3 * * * # python manage.py a", "the shell does more"),
        ("0 3 * * * python manage.py a /srv/*.tmp", "the shell does more"),
        ("0 3 * * * python manage.py a page?", "the shell does more"),
        ("0 3 * * * python manage.py a page[12]", "the shell does more"),
        ("0 3 * * * python manage.py a {b,c}", "the shell does more"),
        ("0 3 * * * python manage.py a ~/b", "the shell does more"),
        ("0 3 * * * python manage.py a b=~/c", "the shell does more"),
        ('0 3 * * * python manage.py a "$HOME"', "the shell does more"),
        ("0 3 * * * python manage.py a < /srv/b", "the shell does more"),
        ("0 3 * * * python manage.py a <<< b", "the shell does more"),
        ("0 3 * * * ! python manage.py a", "the shell does more"),
        ("0 3 * * * LANG=C python manage.py a", "it sets LANG for the command"),
        ("0 3 * * * env A=1 B=2 python manage.py a", "it sets A, B for the command"),
        ("0 3 * * * python manage.py", "manage.py has no command"),
        ("0 3 * * * python manage.py 'a", "cannot be split into words"),
        ("0 3 * * *", "the line has no command"),
    ],
)
def test_commands_that_are_not(tmp_path: Path, line: str, reason: str):
    [found] = read(tmp_path, "# comment", "", line)
    assert reason in found.problem
    assert line in found.problem
    assert found.name == "line 3"


def test_what_is_left_out_is_said(tmp_path: Path):
    [found] = read(tmp_path, "@daily flock -n /tmp/lock nice python manage.py sync >> /var/log/sync")
    assert found.values == {"run": "sync", "schedule": "@daily"}
    assert found.notes == (
        "Its output is the result of the job.",
        "The command in front of it is left out: flock -n /tmp/lock nice.",
    )


def test_variables_and_time_zones(tmp_path: Path):
    lines = ("MAILTO=me@x", "0 1 * * * shop.tasks.a", 'CRON_TZ = "Europe/Berlin"', "0 1 * * * shop.tasks.b")
    first, second = read(tmp_path, *lines)
    assert "timezone" not in first.values
    assert second.values["timezone"] == "Europe/Berlin"


def test_cron_takes_the_zone_of_schedules_from_one_variable_only(tmp_path: Path, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    lines = ("TZ=Europe/Berlin", "0 1 * * * shop.tasks.a", "TZ=Asia/Tokyo", "0 1 * * * shop.tasks.b")
    same, other = read(tmp_path, *lines)
    assert (same.notes, "timezone" in same.values, "timezone" in other.values) == ((), False, False)
    assert other.notes == ("TZ=Asia/Tokyo is not its time zone: cron gives TZ to the command, and runs it by CRON_TZ.",)
    [found] = read(tmp_path, "CRON_TZ=Asia/Tokyo", "TZ=Asia/Tokyo", "0 1 * * * shop.tasks.a")
    assert (found.values["timezone"], found.notes) == ("Asia/Tokyo", ())


def test_the_same_command_twice_has_two_names(tmp_path: Path):
    lines = read(tmp_path, "0 1 * * * ./manage.py sync", "0 13 * * * ./manage.py sync", "0 2 * * * ./manage.py sync eu")
    assert [each.name for each in lines] == ["sync", "sync 2", "sync eu"]


def test_lines_with_a_user(tmp_path: Path):
    [found] = read(tmp_path, "0 1 * * * www-data /srv/manage.py sync", has_user=True)
    assert found.values == {"run": "sync", "schedule": "0 1 * * *"}
