"""Kept logs: from the job through each store to the command, the admin, results and dumps."""

from __future__ import annotations

import importlib
import io
import json
import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection, models
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from django_loco import jobs
from django_loco.core.job import FAILED, SUCCESSFUL
from django_loco.jobs.transfer.moving import Move
from django_loco.jobs.transfer.storing import with_logs
from django_loco.queues import queue_for
from django_loco.tasks import InvalidTask, task
from django_loco.worker import in_process
from tests.app import tasks
from tests.conftest import ON_POSTGRES

from .admin.conftest import change, client_of
from .jobs.conftest import LOCO, drain

pytestmark = pytest.mark.django_db(transaction=True)

MODES = ["BackgroundQueue", "BackgroundAsync", "ForegroundBlocking"]


@pytest.fixture(params=["database"] if ON_POSTGRES else ["database", "memory", "redis"], autouse=True)
def store(request: pytest.FixtureRequest, settings: Any) -> Iterator[str]:
    """Each store in turn. The alias ``other`` has its jobs in a store of the same kind, if it can be another one."""
    options: dict[str, Any] = {"queue": request.param}
    if request.param == "redis":
        options = request.getfixturevalue("redis_server").setting("kept")["default"]["OPTIONS"]
    settings.TASKS = {"default": {"BACKEND": LOCO, "QUEUES": [], "OPTIONS": options}}
    queue_for("default").clear()
    yield request.param
    in_process.stop(time.monotonic() + 20)
    queue_for("default").clear()


def ended(result: Any) -> Any:
    """Let a worker run what is due, and return the result as it is then."""
    drain()
    result.refresh()
    return result


def lines(text: str) -> list[str]:
    """Return the lines of a log without their times."""
    return [line if line.startswith("---") else line[24:] for line in text.splitlines()]


def shown(*words: str) -> str:
    out = io.StringIO()
    call_command("loco_jobs", *words, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("name", ["log_a_line", "alog_a_line"])
def test_a_log_is_shown_by_all_that_show_a_job(name, client):
    result = ended(getattr(tasks, name).enqueue("<b>one</b>"))
    assert result.status == SUCCESSFUL
    title, line = lines(result.log())
    assert title.startswith("--- attempt 1, 20")
    assert line == "INFO tests.app.tasks: <b>one</b>"
    assert jobs.log(result) == jobs.log(result.id) == result.log()
    report = shown("show", result.id)
    assert "\nLog of attempt 1, 20" in report
    assert report.endswith("INFO tests.app.tasks: <b>one</b>\n")
    [run] = json.loads(shown("show", result.id, "--format", "json"))["log"]
    assert (run["attempt"], run["dropped"], lines(run["text"])) == (1, 0, [line])
    page = client_of(is_superuser=True).get(change(result.id)).content.decode()
    assert "INFO tests.app.tasks: &lt;b&gt;one&lt;/b&gt;" in page
    assert "<b>one</b>" not in page


def test_async_code_reads_a_log():
    result = ended(tasks.log_a_line.enqueue("one"))
    assert async_to_sync(result.alog)() == result.log() != ""


def test_without_a_log_nothing_is_stored_and_shown():
    result = ended(tasks.log_a_line.using(keep_log=False).enqueue("one"))
    assert result.log() == ""
    assert queue_for("default").logs([result.id]) == {}
    assert "Log of" not in shown("show", result.id)
    assert json.loads(shown("show", result.id, "--format", "json"))["log"] == []
    assert ">Log<" not in client_of(is_superuser=True).get(change(result.id)).content.decode()


def test_attempts_follow_each_other_and_the_last_ones_stay():
    result = ended(tasks.log_a_line.using(max_attempts=7, backoff=0).enqueue("one", error="on purpose"))
    assert result.status == FAILED
    titles = [line.split(",")[0] for line in lines(result.log()) if line.startswith("---")]
    assert titles == [f"--- attempt {number}" for number in range(3, 8)]


def test_what_is_to_be_hidden_is_not_stored(settings):
    settings.LOCO = {**settings.LOCO, "REDACT": ["text"]}
    result = ended(tasks.log_a_line.enqueue("s3cret-7"))
    assert "s3cret" not in queue_for("default").logs([result.id])[result.id]
    assert lines(result.log())[1] == "INFO tests.app.tasks: ********"


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_keeps_logs(mode, settings):
    settings.WORKER_MODE = mode
    result = tasks.log_a_line.enqueue("one")
    if mode == "BackgroundQueue":
        drain()
    result = result.wait(20)
    assert lines(result.log())[1] == "INFO tests.app.tasks: one"


def test_the_log_is_also_in_the_handlers_of_the_project(settings, caplog):
    settings.WORKER_MODE = "ForegroundBlocking"
    with caplog.at_level(logging.INFO, "tests.app.tasks"):
        tasks.log_a_line.enqueue("one")
    assert ("tests.app.tasks", logging.INFO, "one") in caplog.record_tuples


def test_a_dump_and_an_import_take_the_logs(tmp_path, monkeypatch):
    monkeypatch.setattr(type(queue_for("default")), "is_shared", True)
    result = ended(tasks.log_a_line.enqueue("one"))
    other = ended(tasks.add.enqueue(1, 2))
    log, file = result.log(), str(tmp_path / "jobs.jsonl")
    shown("dump", "--output", file)
    assert [sorted({"log"} & json.loads(line).keys()) for line in Path(file).read_text().splitlines()[1:]] == [
        [],
        ["log"],
    ]
    queue_for("default").clear()
    shown("import", file, "--yes")
    assert (jobs.log(result.id), jobs.log(other.id)) == (log, "")
    shown("import", file, "--yes")
    assert jobs.log(result.id) == log


def test_a_move_takes_the_logs(settings, monkeypatch, store):
    other = {"queue": "memory"}  # as each database has an id once
    if store == "redis":
        other = settings.TASKS["default"]["OPTIONS"] | {"prefix": "other-kept"}
    settings.TASKS = settings.TASKS | {"other": {"BACKEND": LOCO, "QUEUES": [], "OPTIONS": other}}
    for alias in ("default", "other"):
        monkeypatch.setattr(type(queue_for(alias)), "is_shared", True)
    queue_for("other").clear()
    fresh = tasks.add.using(run_after=timedelta(hours=1)).enqueue(1, 2)
    result = ended(tasks.log_a_line.using(max_attempts=2, backoff=3600).enqueue("one", error="on purpose"))
    log = result.log()
    assert lines(log)[1] == "INFO tests.app.tasks: one"
    [*_, report] = Move("default", "other").run(jobs.filter(backend="default"))
    assert report.moved == 2
    assert jobs.log(result.id) == log
    assert jobs.log(fresh.id) == ""
    assert queue_for("default").logs([result.id]) == {}
    queue_for("other").clear()


def test_logs_are_read_a_few_at_once(monkeypatch):
    asked: list[int] = []
    queue = queue_for("default")
    found = type(queue).logs

    def counted(self: Any, ids: Any) -> Any:
        asked.append(len(ids))
        return found(self, ids)

    monkeypatch.setattr(type(queue), "logs", counted)
    tasks.add.enqueue(1, 2)
    drain()
    tasks.add.enqueue(1, 3)
    assert [log for _, log in with_logs(jobs.filter())] == [None, None]
    assert asked == [1]  # what has never begun has no log


def test_neither_fetching_nor_listing_reads_the_column(store):
    with CaptureQueriesContext(connection) as queries:
        ended(tasks.add.enqueue(1, 2))
        [*jobs.filter()]
    assert bool(queries.captured_queries) == (store == "database")
    assert [query["sql"] for query in queries.captured_queries if '"log"' in query["sql"]] == []


def test_the_column_may_be_empty_and_has_no_default():
    [operation] = importlib.import_module("django_loco.migrations.0014_log").Migration("0014_log", "x").operations
    assert (operation.name, operation.field.null, operation.field.has_default()) == ("log", True, False)
    assert isinstance(apps.get_model("django_loco", "StoredJob")._meta.get_field("log"), models.TextField)


@pytest.mark.parametrize("value", [True, "info", "TRACE", 20, ["INFO"]])
def test_a_wrong_level_is_found_by_the_checks(value):
    with override_settings(LOCO={"KEEP_LOG": value}):
        [message] = [each for each in run_checks(tags=["loco"]) if each.id == "loco.E001"]
    assert "LOCO['KEEP_LOG'] is " in message.msg
    assert "it must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL, or None." in message.msg


@pytest.mark.parametrize("value", ["info", "TRACE", 20, []])
def test_a_wrong_option_is_refused(value):
    problem = r"keep_log is .*; it must be True, False, or one of DEBUG, INFO, WARNING, ERROR, CRITICAL\."
    with pytest.raises(InvalidTask, match=problem):
        task(keep_log=value)(tasks.add.func)
    with pytest.raises(InvalidTask, match=problem):
        tasks.add.using(keep_log=value)
    with override_settings(LOCO={"TASKS": {"tests.app.tasks.add": {"keep_log": value}}}):
        [message] = [each for each in run_checks(tags=["loco"]) if each.id == "loco.E001"]
    assert "keep_log is " in message.msg
