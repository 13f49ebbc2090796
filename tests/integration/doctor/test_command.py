"""``manage.py loco_doctor``: its formats, its exit codes, and the sample in the documentation."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from django_loco import jobs
from django_loco.core.job import Job, utcnow
from django_loco.queues import Queue
from django_loco.queues.database.examiner import DatabaseExaminer
from tests.app import tasks
from tests.conftest import ON_POSTGRES

DOCS = Path(__file__).parents[3] / "docs"
PACKAGE = Path(__file__).parents[3] / "django_loco"


def run(*words: str, code: int = 0) -> str:
    out = io.StringIO()
    if not code:
        call_command("loco_doctor", *words, stdout=out)
        return out.getvalue()
    with pytest.raises(CommandError) as raised:
        call_command("loco_doctor", *words, stdout=out)
    assert raised.value.returncode == code
    return out.getvalue()


def test_the_code_says_how_bad_it_is(queue: Queue):
    run()
    run("--fail-level", "WARNING", code=1)
    tasks.add.enqueue(1, 2)
    assert "ERROR" in run(code=2)
    run("--fail-level", "warning", code=2)


def test_a_healthy_project_ends_well_at_each_level(queue: Queue, worker):
    assert run("--fail-level", "WARNING").endswith("Nothing is wrong.\n")
    if queue.database and not ON_POSTGRES:
        run("--fail-level", "INFO")


def test_the_same_for_programs(queue: Queue):
    report = json.loads(run("--format", "json"))
    assert report["counts"]["warning"] == 1
    [warning] = [each for each in report["findings"] if each["level"] == "warning"]
    assert (warning["id"], warning["alias"], warning["section"][:17]) == (
        "workers.none",
        "default",
        "TASKS['default']:",
    )
    assert warning["remedy"]


def test_only_what_is_wrong(queue: Queue):
    text = run("--verbosity", "0")
    assert "workers.none" in text
    assert "  ok " not in text


def test_only_one_alias(queue: Queue, settings):
    settings.TASKS = {**settings.TASKS, "bulk": settings.TASKS["default"]}
    assert "TASKS['bulk']" in run()
    assert "TASKS['default']" not in run("--backend", "bulk")
    with pytest.raises(CommandError, match="Did you mean 'default'"):
        run("--backend", "defualt")


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_that_is_none(given: str):
    with pytest.raises(CommandError, match="is not a number of seconds above 0"):
        run(f"--timeout={given}")


def test_colours(queue: Queue):
    text = run("--force-color")
    assert re.search("\x1b\\[[0-9;]+mWARNING", text)
    assert "\x1b" not in run("--no-color")
    assert re.sub("\x1b\\[[0-9;]*m", "", text) == run("--no-color")


@pytest.mark.skipif(ON_POSTGRES, reason="the sample is of SQLite")
@pytest.mark.parametrize("queue", ["database"], indirect=True)
def test_the_sample_in_the_documentation(queue: Queue, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(DatabaseExaminer, "address", "SQLite, /srv/shop/db.sqlite3")
    queue.enqueue([Job(task_path="shop.tasks.resize", backend="default") for _ in range(3)])
    tasks.add.using(queue_name="emails").enqueue(1, 2)
    jobs.pause(queue="emails")
    monkeypatch.setattr(queue, "oldest_due", lambda queues=None: utcnow() - timedelta(hours=2, minutes=5, seconds=30))
    page = (DOCS / "how-to/troubleshooting.md").read_text()
    sample = page.partition("$ python manage.py loco_doctor\n")[2].partition("```")[0]
    assert run("--no-color", code=2) == sample


def test_the_reference_of_findings_is_complete():
    files = [*(PACKAGE / "management/doctor").glob("*.py"), *(PACKAGE / "queues").glob("*/examiner.py")]
    kinds = "settings|store|jobs|workers|schedules|servers|doctor|postgres|sqlite|redis"
    used = {name for file in files for name in re.findall(rf'"((?:{kinds})\.[a-z-]+)"', file.read_text())}
    told = set(re.findall(r"^\| `([\w.-]+)` \|", (DOCS / "reference/doctor.md").read_text(), re.MULTILINE))
    assert told == used
