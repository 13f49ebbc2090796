"""Tasks that were renamed: jobs that are stored under the old path run as the new task."""

from __future__ import annotations

import logging
import sys
import threading
import time

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from django_loco.core.compat import InvalidTask, task_backends
from django_loco.core.job import SUCCESSFUL, Job
from django_loco.exceptions import RAISED_INTO_JOBS, UnknownTask
from django_loco.queues.memory import MemoryQueue
from django_loco.tasks import aliases, task
from django_loco.tasks.results import load_task, result_of
from django_loco.tasks.stored.policy import policy_of
from django_loco.worker.worker import Worker

HERE = __name__


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """What is registered in a test is forgotten after it."""
    monkeypatch.setattr(aliases, "_paths_by_alias", {})
    monkeypatch.setattr(aliases, "_discovered", threading.Event())


@task
def taken(value: int) -> int:
    return 2 * value


@task
async def ataken(value: int) -> int:
    return 3 * value


def alias(*paths: str, of=taken):
    aliases.register(of.module_path, paths)


def stored(path: str, **given) -> Job:
    return Job(**{"task_path": path, "backend": "default", "arguments": "[[4],{}]"} | given)


def messages():
    return [message.msg for message in run_checks(tags=["loco"]) if message.id == "loco.E006"]


def test_the_decorator_makes_them_known():
    def function() -> None: ...

    function.__qualname__ = "function"
    renamed = task(aliases=["shop.old.send", "shop.older.send"])(function)
    assert renamed.aliases == ("shop.old.send", "shop.older.send")
    assert aliases.target_of("shop.old.send") == f"{HERE}.function"
    assert aliases.target_of("shop.older.send") == f"{HERE}.function"
    assert renamed.using(priority=5).aliases == renamed.aliases
    assert aliases.paths_by_alias()["shop.old.send"] == (f"{HERE}.function",)


@pytest.mark.parametrize("value", ["shop.old.send", ["send"], [""], ["shop..send"], [7], {"shop.old.send"}, 7])
def test_what_is_no_list_of_paths_is_refused(value):
    with pytest.raises(InvalidTask, match=r"aliases is .* list of dotted paths"):
        task(aliases=value)(taken.func)


def test_using_does_not_take_them():
    with pytest.raises(TypeError, match="using\\(\\) has no option 'aliases'"):
        taken.using(aliases=["shop.old.send"])


def test_the_old_path_leads_to_the_new_task():
    with pytest.raises(UnknownTask):
        load_task("shop.old.send")
    alias("shop.old.send")
    assert load_task("shop.old.send") is taken
    assert result_of(stored("shop.old.send")).task.func is taken.func


@pytest.mark.parametrize("of", [taken, ataken])
@pytest.mark.parametrize("was_async", [False, True])
def test_its_jobs_run_whether_it_was_sync_or_async(of, was_async):
    alias("shop.old.send", of=of)
    queue = MemoryQueue("default", {})
    [job] = queue.enqueue([stored("shop.old.send", is_async=was_async)])
    worker = Worker(queue, threads=1, coroutines=1, lease=30, result_ttl=60)
    worker.start()
    deadline = time.monotonic() + 10
    while queue.get(job.id).finished_at is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    worker.retire()
    assert worker.join(10)
    ended = queue.get(job.id)
    assert (ended.status, ended.return_value) == (SUCCESSFUL, "8" if of is taken else "12")


def test_the_options_of_the_new_path_hold_and_those_of_the_old_one():
    alias("shop.old.send")
    job = stored("shop.old.send")
    with override_settings(LOCO={"TASKS": {taken.module_path: {"timeout": 7}}}):
        assert policy_of(load_task(job.task_path), job).timeout == 7
    with override_settings(LOCO={"TASKS": {"shop.old.send": {"timeout": 8}}}):
        assert policy_of(load_task(job.task_path), job).timeout == 8


@pytest.mark.django_db
def test_an_alias_of_one_task_is_no_finding():
    alias("shop.old.send", "tests.app.nowhere.send")
    assert messages() == []


@pytest.mark.django_db
def test_two_tasks_cannot_have_been_at_one_path():
    alias("shop.old.send")
    alias("shop.old.send", of=ataken)
    [message] = messages()
    assert f"'shop.old.send' is an alias of {ataken.module_path} and of {taken.module_path}" in message
    with pytest.raises(UnknownTask):
        load_task("shop.old.send")


@pytest.mark.django_db
def test_a_task_that_is_there_goes_before_an_alias():
    alias("tests.app.tasks.add")
    [message] = messages()
    assert "and a task is there" in message
    assert load_task("tests.app.tasks.add").module_path == "tests.app.tasks.add"


@pytest.mark.django_db
def test_the_new_task_may_be_bound_to_its_old_name_as_well():
    alias(f"{HERE}.old_name")
    sys.modules[HERE].old_name = taken
    try:
        assert messages() == []
    finally:
        del sys.modules[HERE].old_name


@pytest.fixture
def app(tmp_path, monkeypatch):
    """An app whose ``tasks`` module nobody has imported yet."""
    folder = tmp_path / "renaming"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder / "tasks.py"
    for name in ("renaming", "renaming.tasks"):
        sys.modules.pop(name, None)


def test_an_unknown_path_makes_tasks_modules_be_looked_for(app):
    app.write_text(
        "from django_loco.tasks import task\n@task(aliases=['renaming.jobs.send'])\ndef send(value): return value\n"
    )
    with override_settings(INSTALLED_APPS=["django_loco", "renaming"]):
        assert load_task("renaming.jobs.send").module_path == "renaming.tasks.send"
        assert task_backends["default"] is not None


@pytest.mark.parametrize("kind", RAISED_INTO_JOBS)
def test_a_job_that_is_ended_meanwhile_leaves_the_import_to_the_next(app, monkeypatch, kind):
    def struck(name: str) -> None:
        raise kind

    monkeypatch.setattr(aliases, "import_module", struck)
    with override_settings(INSTALLED_APPS=["django_loco", "renaming"]), pytest.raises(kind):
        aliases.discover()
    assert not aliases._discovered.is_set()


def test_one_that_cannot_be_imported_is_logged_once_and_costs_no_other(app, caplog):
    app.write_text("raise ZeroDivisionError('at import')\n")
    alias("shop.old.send")
    with override_settings(INSTALLED_APPS=["renaming", "django_loco"]), caplog.at_level(logging.WARNING):
        for _ in range(2):
            with pytest.raises(UnknownTask):
                load_task("renaming.jobs.send")
    assert [record.getMessage() for record in caplog.records] == [
        "Could not import renaming.tasks; the aliases of its tasks are not registered"
    ]
