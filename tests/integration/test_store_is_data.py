"""Whoever can write to the store can run registered tasks, and nothing else."""

from __future__ import annotations

import sys
import textwrap
from contextvars import copy_context
from dataclasses import replace
from importlib import import_module
from uuid import uuid4

import pytest
from django.core.signing import Signer

from django_loco.core.compat import InvalidTask, TaskError, task_backends
from django_loco.core.job import FAILED, READY, SIGNATURE, SUCCESSFUL, Job, retry, utcnow
from django_loco.exceptions import UnknownTask
from django_loco.queues import queue_for
from django_loco.scheduler import Registry
from django_loco.scheduler.api import allowed_commands
from django_loco.tasks import backoff_function, loading, task
from django_loco.tasks.enqueueing.tick_jobs import ScheduledCall
from django_loco.tasks.loading import _is_foreign, load_module, may_be_imported
from django_loco.tasks.results import load_task, result_of
from django_loco.tasks.stored.options import option_from_json, option_to_json
from django_loco.tasks.stored.policy import policy_of
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.execution.executor import execute
from django_loco.worker.in_process import worker_for
from tests.app.tasks import add, fail_twice, ran

COMMAND = "django_loco.scheduler.actions.command"
SHELL = "django_loco.scheduler.actions.shell"


@backoff_function
def linear(error, result):
    return 7.0


def unmarked(error, result):
    called.append(error)
    return 7.0


called: list[object] = []


class Outer:
    class Busy(Exception): ...


@task(max_attempts=3)
def stumble():
    raise Outer.Busy


def declared(error, result):
    return 9.0


@task(backoff=declared)
def declares(): ...


def made(path: str, arguments: str = "[[],{}]", **options) -> Job:
    return Job(task_path=path, backend="default", arguments=arguments, **options)


def run(job: Job):
    """Return the outcome of a job as a worker would find it in the store."""
    outcome = copy_context().run(execute, ClaimedJob(job))
    assert outcome is not None
    return outcome


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return what writes a module of a project that nobody has imported."""
    names: list[str] = []

    def write(name: str, text: str) -> str:
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        names.append(name)
        return name

    monkeypatch.syspath_prepend(tmp_path)
    yield write
    for name in names:
        sys.modules.pop(name, None)
    _is_foreign.cache_clear()


# --- tasks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "antigravity.webbrowser",
        "this.s",
        "os.system",
        "idlelib.idle.main",
        "test.regrtest.main",
        "hypothesis.extra.pytestplugin.x",
        "mypy.api.run",
        "",
        "no_dots",
        ".relative.name",
        "..x",
        "a\0b.c",
        "a b.c",
        "django_loco.tasks.results.load_task",
        "tests.app.tasks.gate",
        "tests.app.tasks.ran.append",
    ],
)
def test_a_path_that_leads_to_no_task_of_the_project_imports_and_runs_nothing(path, monkeypatch):
    # Tests that load apps anew may have put what pytest has loaded among the packages of the apps.
    monkeypatch.setattr(loading, "_loaded_with_apps", frozenset())
    before = set(sys.modules)
    with pytest.raises(UnknownTask):
        load_task(path)
    assert set(sys.modules) == before


def test_a_task_of_the_project_is_imported_by_its_path(project):
    project("jobs_nobody_imported", "from django_loco.tasks import task\n@task\ndef one(): return 1\n")
    assert load_task("jobs_nobody_imported.one").call() == 1


def test_a_module_that_ends_the_process_is_an_unknown_task(project):
    project("looks_like_setup", "import sys; sys.exit(3)")
    with pytest.raises(UnknownTask, match="exits the process"):
        load_task("looks_like_setup.one")


def test_a_module_that_makes_names_when_it_is_asked_is_not_asked(project):
    asked = project(
        "asked", "asked = []\ndef __getattr__(name):\n    asked.append(name)\n    raise AttributeError(name)\n"
    )
    with pytest.raises(UnknownTask, match='does not define a "one"'):
        load_task(f"{asked}.one")
    assert sys.modules[asked].asked == []


def test_an_installed_package_needs_to_be_an_app_or_named(project, settings, tmp_path, monkeypatch):
    project("site-packages.library", "from django_loco.tasks import task\n@task\ndef one(): return 1\n")
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    with pytest.raises(UnknownTask, match=r"add it to LOCO\['TASK_MODULES'\]"):
        load_task("library.one")
    assert "library" not in sys.modules
    settings.LOCO = {"TASK_MODULES": ["library"]}
    one = load_task("library.one")
    monkeypatch.delitem(sys.modules, "library")
    settings.LOCO = {}
    with pytest.raises(InvalidTask, match=r"Add it to LOCO\['TASK_MODULES'\]"):
        one.enqueue()


def test_so_may_a_package_that_an_installed_app_has_imported(project, tmp_path, monkeypatch):
    """As Wagtail imports ``modelsearch``, whose tasks are in a module that is imported later."""
    project("site-packages.engine.tasks", "from django_loco.tasks import task\n@task\ndef one(): return 1\n")
    project("site-packages.engine.__main__", "raise SystemExit('run')\n")
    (tmp_path / "site-packages" / "engine" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    monkeypatch.setattr(loading, "_loaded_with_apps", frozenset())
    assert not may_be_imported("engine.tasks")
    monkeypatch.setitem(sys.modules, "engine", import_module("engine"))
    loading.remember_loaded_packages()
    assert load_task("engine.tasks.one").name == "one"
    assert not may_be_imported("engine.__main__")
    assert not may_be_imported("this")
    assert not may_be_imported("unittest.__main__")
    monkeypatch.delitem(sys.modules, "engine.tasks")


def test_a_list_of_modules_is_all_that_may_be_imported(project, settings):
    settings.LOCO = {"TASK_MODULES": ["jobs.fast"]}
    assert may_be_imported("jobs.fast")
    assert may_be_imported("jobs.fast.more")
    assert may_be_imported("django_loco.scheduler.actions")
    assert not may_be_imported("jobs.fastest")
    assert not may_be_imported("jobs")
    with pytest.raises(ImportError):
        load_module(project("jobs_not_named", ""))


# --- options ----------------------------------------------------------------------------------------------------------


def test_options_travel_as_json_and_come_back():
    given = {"retry_on": (OSError, Outer.Busy), "backoff": linear, "no_retry_on": (KeyError,)}
    for name, value in given.items():
        assert option_from_json(name, option_to_json(name, value)) == value
    assert option_to_json("backoff", (1, 2)) == [1, 2]
    assert option_to_json("retry_on", ("builtins.OSError",)) == ["builtins.OSError"]
    assert option_to_json("retry_on", ("os.error",)) == ["builtins.OSError"]


def test_a_function_without_the_mark_is_refused_when_it_is_enqueued():
    with pytest.raises(InvalidTask, match="@backoff_function"):
        stumble.using(backoff=unmarked).enqueue()


def test_what_a_task_declares_can_be_named():
    job = made(stumble.module_path, options={"backoff": option_to_json("backoff", declared)})
    assert policy_of(stumble, job).delay(ValueError(), 1, None) == 9.0


def test_what_a_call_names_is_not_declared_by_that():
    stumble.using(backoff=unmarked)
    assert retry.marked_backoff(f"{__name__}.unmarked") is None


@pytest.mark.parametrize("path", [f"{__name__}.unmarked", "os.system", "antigravity.x", "builtins.print", "x", ""])
def test_a_stored_back_off_calls_nothing_that_is_not_marked(path, caplog):
    before = set(sys.modules)
    policy = policy_of(stumble, made(stumble.module_path, options={"backoff": path}))
    assert policy.backoff is None
    assert policy.max_attempts == 3
    assert "Ignored the back-off" in caplog.text
    assert called == []
    assert set(sys.modules) == before


def test_a_marked_function_is_found_in_a_module_that_is_imported_for_it(project):
    text = "from django_loco.tasks import backoff_function\n@backoff_function\ndef slow(error, result): return 5.0\n"
    module = project("pauses_nobody_imported", text)
    policy = policy_of(stumble, made(stumble.module_path, options={"backoff": f"{module}.slow"}))
    assert policy.delay(ValueError(), 1, None) == 5.0
    retry._marked.pop(f"{module}.slow")


@pytest.mark.parametrize("path", ["antigravity.Boom", "os.system", "no.such.Error", ""])
def test_a_stored_exception_type_imports_nothing(path):
    before = set(sys.modules)
    policy = policy_of(stumble, made(stumble.module_path, options={"retry_on": [path]}))
    assert not policy.wants_retry(ValueError(), 1)
    assert set(sys.modules) == before


def test_a_retry_on_a_type_within_a_class():
    job = made(stumble.module_path, options=stored_options("retry_on", [Outer.Busy]))
    assert run(job).status == READY
    job = made(stumble.module_path, options=stored_options("no_retry_on", [Outer.Busy]))
    assert run(job).status == FAILED


def stored_options(name, value):
    return {name: option_to_json(name, value)}


@pytest.mark.parametrize("path", ["antigravity.Boom", "os.system", "no.such.Error", "", "x"])
def test_the_stored_class_of_an_error_imports_nothing(path):
    before = set(sys.modules)
    error = result_of(made("tests.app.tasks.add", errors=(TaskError(exception_class_path=path, traceback=""),))).errors[
        0
    ]
    with pytest.raises((ImportError, ValueError)):
        _ = error.exception_class
    assert set(sys.modules) == before
    assert error.exception_class_path == path


def test_the_class_of_an_error_is_found_where_it_is_imported():
    [error] = result_of(
        made("tests.app.tasks.add", errors=(TaskError(exception_class_path="builtins.OSError", traceback=""),))
    ).errors
    assert error.exception_class is OSError


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def schedules(monkeypatch, settings):
    def declare(loco):
        settings.LOCO = loco
        monkeypatch.setattr(allowed_commands, "default", Registry(autodiscover=True))

    return declare


@pytest.mark.django_db
@pytest.mark.parametrize("words", ['["shell","-c","import os; os._exit(9)"]', '["flush","--no-input"]', "[]", '[""]'])
def test_a_stored_job_runs_no_management_command_that_nobody_allows(words):
    outcome = run(made(COMMAND, f"[{words},{{}}]"))
    assert outcome.status == FAILED
    assert "is not allowed" in outcome.error.traceback


@pytest.mark.django_db
def test_a_management_command_on_the_list_runs(schedules):
    schedules({"COMMANDS": ["check"]})
    assert run(made(COMMAND, '[["check","--tag","urls"],{}]')).status == SUCCESSFUL


@pytest.mark.django_db
def test_a_schedule_of_the_settings_allows_its_command_with_its_arguments(schedules):
    schedules({"SCHEDULE": {"it": {"run": "check --tag urls", "schedule": "hourly"}}})
    assert run(made(COMMAND, '[["check","--tag","urls"],{}]')).status == SUCCESSFUL
    assert run(made(COMMAND, '[["check","--deploy"],{}]')).status == FAILED


@pytest.mark.django_db
def test_an_exposed_command_runs(schedules):
    schedules({})
    allowed_commands.default.expose("check")
    assert run(made(COMMAND, '[["check","--tag","urls"],{}]')).status == SUCCESSFUL


@pytest.mark.django_db
def test_the_shell_runs_what_a_schedule_has_and_nothing_else(schedules, tmp_path):
    schedules({"ALLOW_SHELL": True, "SCHEDULE": {"it": {"run": "echo 1", "shell": True, "schedule": "hourly"}}})
    assert run(made(SHELL, '[["echo 1"],{}]')).return_value == '"1\\n"'
    outcome = run(made(SHELL, f'[["touch {tmp_path}/run"],{{}}]'))
    assert outcome.status == FAILED
    assert list(tmp_path.iterdir()) == []


# --- signatures -------------------------------------------------------------------------------------------------------


@pytest.fixture
def signing(settings):
    settings.LOCO = {"SIGN": True}
    ran.clear()


def enqueued() -> Job:
    job = queue_for("default").get(add.using(timeout=5).enqueue(1, 2).id)
    assert job is not None
    return job


@pytest.mark.django_db
@pytest.mark.usefixtures("signing")
def test_a_signed_job_runs():
    job = enqueued()
    assert SIGNATURE not in job.overrides
    assert run(job).return_value == "3"
    assert dict(result_of(job).task.overrides and {"timeout": result_of(job).task.timeout}) == {"timeout": 5}


@pytest.mark.django_db
@pytest.mark.usefixtures("signing")
@pytest.mark.parametrize(
    "change",
    [
        {"id": "0" * 32},
        {"task_path": "tests.app.tasks.echo"},
        {"arguments": "[[3,4],{}]"},
        {"arguments": '["\ud800"]'},
        {"queue_name": "emails"},
        {"backend": "other"},
        {"key": "tick@1"},
        {"options": {}},
        {"options": {SIGNATURE: None}},
        {"options": {SIGNATURE: 7}},
        {"options": {SIGNATURE: "x:y"}},
    ],
)
def test_a_job_that_was_changed_in_the_store_never_runs(change):
    outcome = run(replace(enqueued(), **change))
    assert outcome.status == FAILED
    assert outcome.error.exception_class_path == "django_loco.exceptions.InvalidSignature"
    assert ran == []


@pytest.mark.django_db
@pytest.mark.usefixtures("signing")
def test_options_are_covered():
    job = enqueued()
    assert run(replace(job, options={**job.options, "timeout": 99})).status == FAILED


@pytest.mark.django_db
@pytest.mark.usefixtures("signing")
def test_what_changes_while_a_job_lives_is_not_covered():
    job = enqueued()
    assert run(replace(job, worker_ids=("a", "b"), lost=2, checkpoint="7", priority=9)).status == SUCCESSFUL


@pytest.mark.django_db
@pytest.mark.usefixtures("signing")
def test_an_old_key_is_good_as_long_as_it_is_named(settings):
    job, old = enqueued(), settings.SECRET_KEY
    settings.SECRET_KEY = "new"
    assert run(job).status == FAILED
    settings.SECRET_KEY_FALLBACKS = [old]
    assert run(job).status == SUCCESSFUL


@pytest.mark.django_db
@pytest.mark.usefixtures("signing")
def test_a_signature_of_something_else_is_not_one_of_a_job():
    job = enqueued()
    forged = Signer().signature(str(job.id))
    assert run(replace(job, options={SIGNATURE: forged})).status == FAILED


@pytest.mark.usefixtures("signing")
def test_the_task_of_a_job_that_is_not_signed_is_not_even_imported(project):
    module = project("jobs_unsigned", "from django_loco.tasks import task\n@task\ndef one(): return 1\n")
    assert run(made(f"{module}.one")).status == FAILED
    assert module not in sys.modules


@pytest.mark.usefixtures("signing")
def test_in_the_foreground_jobs_are_signed_too(settings):
    settings.WORKER_MODE = "ForegroundBlocking"
    assert add.enqueue(1, 2).return_value == 3


def test_without_the_setting_nothing_is_signed_and_signatures_do_not_matter():
    assert run(made("tests.app.tasks.add", "[[1,2],{}]", options={SIGNATURE: "x"})).status == SUCCESSFUL


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("place", ["database", "memory", "redis"])
def test_a_signature_outlives_a_retry_in_every_store(settings, place, request):
    if place == "redis":
        settings.TASKS = request.getfixturevalue("redis_server").setting(uuid4().hex)
    else:
        settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": {"queue": place}}}
    settings.LOCO = {"SIGN": True}
    ran.clear()
    result = fail_twice.enqueue(place)
    worker = worker_for("default", drain=True)
    worker.start()
    assert worker.join(30)
    job = queue_for("default").get(result.id)
    assert job is not None
    assert (job.status, job.return_value, len(job.errors)) == (SUCCESSFUL, "3", 2)
    queue_for("default").clear()


@pytest.mark.django_db
@pytest.mark.usefixtures("signing")
def test_a_tick_is_signed():
    [result] = task_backends["default"].enqueue_ticks([ScheduledCall(add, (1, 2), {}, "it@1", utcnow())])
    job = queue_for("default").get(result.id)
    assert run(job).status == SUCCESSFUL
    assert run(replace(job, key="it@2")).status == FAILED
