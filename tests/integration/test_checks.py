"""What ``manage.py check`` says, as its users see it."""

from __future__ import annotations

from unittest import mock

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.core.checks.registry import registry
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings

from django_loco.assembly.components import missing_tables
from django_loco.checks import queues as queues_checks
from django_loco.checks import stored_jobs
from django_loco.checks.queues import check_queues
from django_loco.core import running_tests
from django_loco.core.compat import task_backends
from django_loco.core.job import Job
from django_loco.exceptions import LocoConfigurationError
from django_loco.queues import Claim
from django_loco.queues.database import DatabaseQueue
from django_loco.scheduler import Problem
from django_loco.scheduler.registry import default
from tests.app.tasks import add

LOCO = "django_loco.backend.LocoBackend"


def found(**settings):
    """Return ``{id: message}`` of what the checks find, deployment ones too."""
    with override_settings(**settings):
        return {
            message.id: f"{message.msg} {message.hint or ''}"
            for message in run_checks(tags=["loco"], include_deployment_checks=True)
        }


@pytest.fixture(autouse=True)
def _database(db):
    """Some checks ask the database for its mode."""


def test_each_is_made_once_when_the_apps_have_been_made_ready_again():
    known = len(registry.registered_checks)
    with override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS]):
        assert len(registry.registered_checks) == known


def test_good_settings_are_silent():
    assert found() == {}


def test_a_key_that_does_not_exist():
    assert "LOCO['NUM_WORKRES'] is unknown. Did you mean 'NUM_WORKERS'?" in found(LOCO={"NUM_WORKRES": 1})["loco.E001"]


@pytest.mark.parametrize("threads", [500, 501, 5_000])
def test_very_many_threads(threads):
    warnings = found(LOCO={"NUM_WORKERS": threads}).get("loco.W015", "")
    assert (f"LOCO['NUM_WORKERS'] is {threads}" in warnings) == (threads > 500)
    assert ("connections that the database has to spare" in warnings) == (threads > 500)


@pytest.mark.parametrize("name", ["NUM_WORKERS", "ASYNC_WORKERS"])
def test_a_setting_that_stands_beside_loco(name):
    said = {"loco.W016": f"Nothing reads the setting {name}. Move it into LOCO: LOCO = {{{name!r}: 40}}."}
    assert found(**{name: 40}) == said


def test_a_mode_that_does_not_exist():
    assert "Did you mean 'BackgroundQueue'?" in found(WORKER_MODE="BackgroundQeue")["loco.E001"]


@pytest.mark.parametrize(
    ("queue", "remedy"),
    [
        ("databse", "Did you mean 'database'?"),
        ("shop.queues.Fast", "cannot be imported: No module named 'shop'"),
        ("os.path", "which is not a Queue"),
        ("pathlib.Path", "which is not a Queue"),
    ],
)
def test_a_queue_that_cannot_be_imported(queue, remedy):
    messages = found(TASKS={"default": {"BACKEND": LOCO, "OPTIONS": {"queue": queue}}})
    assert f"TASKS['default']['OPTIONS']['queue'] is {queue!r}" in messages["loco.E002"]
    assert remedy in messages["loco.E002"]


def test_an_option_that_does_not_exist():
    messages = found(TASKS={"default": {"BACKEND": LOCO, "OPTIONS": {"databse": "default"}}})
    assert "TASKS['default']['OPTIONS']['databse'] is unknown. Did you mean 'database'?" in messages["loco.E002"]


def test_all_mistakes_of_all_aliases_are_shown():
    options = {"mode": "Fast", "queue": "databse", "databse": "default", "prefx": "shop"}
    tasks = {
        "default": {"BACKEND": LOCO, "QUEUE": ["emails"], "queues": ["emails"], "OPTIONS": options},
        "other": {"BACKEND": LOCO, "OPTION": {"queue": "redis"}, "QUEUES": "emails"},
    }
    with override_settings(TASKS=tasks):
        messages = [message.msg for message in run_checks(tags=["loco"]) if message.id == "loco.E002"]
    assert [message.partition(" Choices are")[0].partition(" Name a queue of")[0] for message in messages] == [
        "TASKS['default']['QUEUE'] is unknown. Did you mean 'QUEUES'?",
        "TASKS['default']['queues'] is unknown. Did you mean 'QUEUES'?",
        "TASKS['default']['OPTIONS']['mode'] is 'Fast'.",
        "TASKS['default']['OPTIONS']['queue'] is 'databse'. Did you mean 'database'?",
        "TASKS['other']['OPTION'] is unknown. Did you mean 'OPTIONS'?",
        "TASKS['other']['QUEUES'] is 'emails'; it must be a list of names, each text of 1 to 200 printable characters.",
    ]
    tasks["default"]["OPTIONS"]["queue"] = "database"
    assert len([message for message in all_found(TASKS=tasks) if "is unknown" in message]) == 5


@pytest.mark.parametrize("options", [{"mode": "Fast"}, {"database": ["default"]}])
def test_a_wrong_option_keeps_no_other_check_from_running(options):
    add.enqueue(1, 2)
    tasks = {"default": {"BACKEND": LOCO, "OPTIONS": options, "QUEUES": ["default", "emails"]}}
    with override_settings(TASKS=tasks):
        messages = run_checks(tags=["loco"], include_deployment_checks=True, databases=["default"])
    assert {message.id for message in messages} == {"loco.E002"}


def all_found(**settings):
    with override_settings(**settings):
        return [message.msg for message in run_checks(tags=["loco"])]


def test_options_of_a_queue_of_ones_own_while_jobs_wait_in_memory():
    options = {"queue": "shop.queues.Fast", "shards": 3, "mode": "BackgroundAsync"}
    assert all_found(TASKS={"default": {"BACKEND": LOCO, "OPTIONS": options}}) == []


@pytest.mark.parametrize(("queues", "names"), [("emails", {"emails"}), (5, set()), ([["a"], "b"], {"b"})])
def test_tasks_can_be_imported_though_queues_is_no_list(queues, names):
    with override_settings(TASKS={"default": {"BACKEND": LOCO, "QUEUES": queues}}):
        assert task_backends["default"].queues == names


def test_the_app_without_its_backend():
    messages = found(TASKS={"default": {"BACKEND": "tests.app.backends.OtherBackend"}})
    assert "TASKS does not use its backend" in messages["loco.W001"]


def test_schedules_are_not_checked_without_a_backend_that_could_run_them(monkeypatch):
    monkeypatch.setattr(default, "problems", lambda: [Problem("a schedule needs LocoBackend.", "", "digest")])
    assert set(found(TASKS={"default": {"BACKEND": "tests.app.backends.OtherBackend"}})) == {"loco.W001"}


def test_jobs_in_memory_in_production():
    assert "kill -9 loses them" in found(WORKER_MODE="BackgroundAsync")["loco.W004"]


def test_jobs_in_memory_that_cannot_be_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(running_tests, "is_on", lambda: False)
    options = {"spool": tmp_path / "jobs"}
    tasks = {"default": {"BACKEND": LOCO, "OPTIONS": options}}
    assert "loco.W018" not in found(WORKER_MODE="BackgroundAsync", TASKS=tasks)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    lost = found(WORKER_MODE="BackgroundAsync", TASKS=tasks)["loco.W018"]
    assert f"this process may not write to {tmp_path}. Name a folder" in lost
    options["spool"] = None
    assert "loco.W018" not in found(WORKER_MODE="BackgroundAsync", TASKS=tasks)
    assert list(tmp_path.iterdir()) == []


def test_locks_in_memory_in_production():
    assert "two processes do not exclude each other" in found(WORKER_MODE="BackgroundAsync")["loco.W017"]
    assert "loco.W017" not in found(WORKER_MODE="BackgroundQueue")


def test_a_component_that_cannot_be_imported():
    assert "cannot be imported" in found(LOCO={"COMPONENTS": ["shop.consumers.Feed"]})["loco.E004"]


def test_a_schedule_that_is_wrong_and_a_module_of_tasks_that_may_have_some(monkeypatch):
    problems = [
        Problem("Schedule 'digest': at is 75.", "Correct it.", "digest"),
        Problem("shop.tasks cannot be imported.", "Correct it.", "shop.tasks", is_certain=False),
    ]
    monkeypatch.setattr(default, "problems", lambda: problems)
    assert found() == {
        "loco.E003": "Schedule 'digest': at is 75. Correct it.",
        "loco.W007": "shop.tasks cannot be imported. Correct it.",
    }


@pytest.mark.parametrize("queues", ["emails", ["a\0"], [""], [5]])
def test_names_of_queues_that_are_none(queues):
    messages = found(TASKS={"default": {"BACKEND": LOCO, "QUEUES": queues}})
    assert "TASKS['default']['QUEUES'] is" in messages["loco.E002"]


def test_options_for_a_task_that_does_not_exist():
    options = {"tests.app.tasks.ad": {"max_attempts": 2}, "tests.app.tasks.add": {"max_attempts": 2}}
    messages = found(LOCO={"TASKS": options})
    assert list(messages) == ["loco.W010"]
    assert "LOCO['TASKS'] has options for 'tests.app.tasks.ad'" in messages["loco.W010"]
    assert "aliases" not in messages["loco.W010"]


def test_a_pool_that_is_smaller_than_a_worker(monkeypatch):
    monkeypatch.setattr("django_loco.queues.database.engines.find_spec", lambda name: name)
    pooled = {**connection.settings_dict, "OPTIONS": {"pool": {"max_size": 9}}}
    real = connections["default"]
    with mock.patch.object(real, "vendor", "postgresql"), mock.patch.object(real, "settings_dict", pooled):
        with override_settings(LOCO={"NUM_WORKERS": 10}):
            (warning,) = check_queues(asks_stores=False)
        with override_settings(LOCO={"NUM_WORKERS": 9}):
            assert check_queues(asks_stores=False) == []
    hint = "Set OPTIONS['pool'] to {'max_size': 10} or more, or LOCO['NUM_WORKERS'] to 9."
    assert (warning.id, warning.hint) == ("loco.W002", hint)
    assert "up to 10 (NUM_WORKERS), and more if async jobs use the database" in warning.msg


def test_a_pool_whose_package_is_not_installed(monkeypatch):
    monkeypatch.setattr("django_loco.queues.database.engines.find_spec", lambda name: None)
    real, pooled = connections["default"], {**connection.settings_dict, "OPTIONS": {"pool": True}}
    with mock.patch.object(real, "vendor", "postgresql"), mock.patch.object(real, "settings_dict", pooled):
        (error,) = check_queues(asks_stores=False)
    assert error.id == "loco.E002"
    assert error.msg.endswith("""OPTIONS['pool'] needs psycopg_pool: pip install "psycopg[pool]".""")


def test_the_app_that_is_not_installed():
    without = [name for name in settings.INSTALLED_APPS if name != "django_loco"]
    with override_settings(INSTALLED_APPS=without):
        (message,) = task_backends["default"].check()
        with pytest.raises(LocoConfigurationError, match="'django_loco' is not in INSTALLED_APPS"):
            DatabaseQueue("default", {}).counts()
    assert message.id == "loco.E005"


def waiting(**settings):
    with override_settings(**settings):
        messages = run_checks(tags=["loco"], databases=["default"])
    return [f"{message.msg} {message.hint}" for message in messages if message.id == "loco.W011"]


def test_jobs_that_no_worker_takes():
    add.enqueue(1, 2)
    assert waiting() == []
    options = {"BACKEND": LOCO, "QUEUES": ["emails"]}
    (message,) = waiting(TASKS={"default": options})
    assert "1 job(s) of TASKS['default'] wait in queue 'default' in DATABASES['default']" in message
    assert "it is not in TASKS['default']['QUEUES']. Add 'default' to QUEUES" in message
    (message,) = waiting(TASKS={"other": {"BACKEND": LOCO}})
    assert "TASKS no longer has the alias 'default'." in message
    (message,) = waiting(WORKER_MODE="BackgroundAsync")
    assert "TASKS['default'] keeps its jobs elsewhere now." in message


def test_jobs_of_several_aliases_that_are_gone(monkeypatch):
    """Running ones, too. They are counted up to a cap."""
    for alias, number in (("a", 1), ("b", 3), ("c", 2)):
        queue = DatabaseQueue(alias, {})
        queue.enqueue([Job(task_path="shop.tasks.send", backend=alias, queue_name="q") for _ in range(number)])
    queue.fetch(Claim(worker_id="w", lease=60, threads=1))
    DatabaseQueue("b", {}).fetch(Claim(worker_id="w", lease=60, threads=9))
    assert [message.partition(" wait")[0] for message in waiting()] == [
        "1 job(s) of TASKS['a']",
        "3 job(s) of TASKS['b']",
        "2 job(s) of TASKS['c']",
    ]
    monkeypatch.setattr(stored_jobs, "COUNTED", 2)
    assert [message.partition(" of")[0] for message in waiting()] == [
        "1 job(s)",
        "2 or more job(s)",
        "2 or more job(s)",
    ]


def unmigrated(**settings):
    with override_settings(**settings):
        messages = run_checks(tags=["loco"], databases=["default"])
    return [f"{message.msg} {message.hint}" for message in messages if message.id == "loco.W014"]


def test_migrations_that_are_missing(monkeypatch):
    assert unmigrated() == []
    # As after a partial migration: the table of jobs is there.
    MigrationRecorder(connection).migration_qs.filter(app="django_loco").latest("name").delete()
    expected = [
        "In DATABASES['default'] migrations of django_loco are missing. Run manage.py migrate django_loco.",
    ]
    assert unmigrated() == expected
    assert unmigrated(WORKER_MODE="BackgroundAsync") == expected
    assert missing_tables("default") == (
        "The jobs of TASKS['default'] are in DATABASES['default'], where migrations of django_loco are missing: "
        "run manage.py migrate django_loco."
    )
    monkeypatch.setattr("sys.argv", ["manage.py", "migrate"])
    assert unmigrated() == []


def test_jobs_that_waited_in_memory(tmp_path):
    options = {"spool": str(tmp_path)}
    folder = tmp_path / "tests.settings" / "default"
    folder.mkdir(parents=True)
    tasks = {"default": {"BACKEND": LOCO, "OPTIONS": options}}
    with mock.patch("django_loco.checks.queues.folder_for", return_value=folder):
        assert "loco.W011" not in found(TASKS=tasks)
        (folder / "1-default.jobs").touch()
        assert f"{folder} has jobs of TASKS['default']" in found(TASKS=tasks)["loco.W011"]
        assert "loco.W011" not in found(TASKS=tasks, WORKER_MODE="BackgroundAsync")


def test_a_command_on_the_list_that_there_is_not():
    assert "LOCO['COMMANDS'] has 'chek'. Did you mean 'check'?" in found(LOCO={"COMMANDS": ["chek"]})["loco.E007"]


def test_a_command_on_the_list_that_runs_any_code():
    assert "'shell'" in found(LOCO={"COMMANDS": ["shell"]})["loco.W013"]
    assert "loco.W013" not in found(LOCO={"COMMANDS": ["check"]})


@pytest.mark.parametrize(
    ("pool", "hint"),
    [
        (True, "Set OPTIONS['pool'] to {'max_size': 10} or more, or LOCO['NUM_WORKERS'] to 4."),
        ({"max_size": 9}, "Set OPTIONS['pool'] to {'max_size': 10} or more, or LOCO['NUM_WORKERS'] to 9."),
        ({"max_size": 16}, ""),
    ],
)
def test_a_pool_with_too_few_connections(pool, hint):
    messages = list(queues_checks._check_pool("default", "default", {"OPTIONS": {"pool": pool}}))
    assert "".join(message.hint for message in messages) == hint
