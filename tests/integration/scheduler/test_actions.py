"""Jobs of schedules that run no task: management commands and commands of the shell."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core import management
from django.core.management import BaseCommand, CommandError
from django.test import override_settings

from django_loco.core.lifecycle import resources
from django_loco.exceptions import JobTimeout, LocoConfigurationError
from django_loco.queues import queue_for
from django_loco.scheduler import Registry, Scheduler
from django_loco.scheduler.actions import MAX_OUTPUT_CHARACTERS, command, shell
from django_loco.scheduler.api import allowed_commands
from django_loco.worker.in_process import worker_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def declared(monkeypatch, settings):
    """Return what declares a schedule of a command of the shell, and returns that command."""

    def declare(text):
        schedule = {"it": {"run": text, "shell": True, "schedule": "hourly"}}
        settings.LOCO = {"ALLOW_SHELL": True, "SCHEDULE": schedule}
        monkeypatch.setattr(allowed_commands, "default", Registry(autodiscover=True))
        return text

    return declare


@pytest.fixture
def check_allowed(settings):
    settings.LOCO = {"COMMANDS": ["check"]}


@pytest.mark.usefixtures("check_allowed")
def test_a_management_command_returns_what_it_wrote():
    assert "no issues" in command.call("check", "--tag", "urls")
    assert command.call("check", "--tag", "urls", silent=True) == ""


@pytest.mark.usefixtures("check_allowed")
def test_a_management_command_that_fails():
    with pytest.raises(CommandError, match="no system check"):
        command.call("check", "--tag", "no-such-tag")


class Exiting(BaseCommand):
    """Ends as scripts do: ``sys.exit(code)``."""

    def handle(self, *args, **options):
        self.stdout.write("some output")
        sys.exit(self.code)


@pytest.fixture
def exits(monkeypatch, settings):
    """Return what runs a management command that exits with a code."""

    def run(code, **options):
        settings.LOCO = {"COMMANDS": ["exiting"]}
        monkeypatch.setattr(management, "get_commands", lambda: {"exiting": Exiting()})
        monkeypatch.setattr(Exiting, "code", code, raising=False)
        return command.call("exiting", **options)

    return run


@pytest.mark.parametrize("code", [None, 0, False])
def test_a_management_command_that_exits_with_0_has_succeeded(exits, code):
    assert exits(code) == "some output\n"
    assert exits(code, silent=True) == ""


@pytest.mark.parametrize(
    ("code", "returncode", "message"),
    [(3, 3, "exit code 3: some output"), ("no such customer", 1, "exit code 1: some output\nno such customer")],
)
def test_a_management_command_that_exits_otherwise_has_failed(exits, code, returncode, message):
    with pytest.raises(CommandError, match=message) as caught:
        exits(code)
    assert caught.value.returncode == returncode


def test_a_shell_command_returns_what_it_wrote(declared):
    assert shell.call(declared("echo out; echo err >&2; cat")) == "out\nerr\n"
    assert shell.call(declared("echo out"), silent=True) == ""


def test_of_long_output_the_end_is_kept(declared):
    told = shell.call(declared(f"'{sys.executable}' -c \"print('x' * 1_000_000, 'end')\""))
    assert len(told) == MAX_OUTPUT_CHARACTERS
    assert told.endswith(" end\n")


def test_a_shell_command_needs_no_folder_for_temporary_files(declared, monkeypatch):
    def no_folder():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", no_folder)
    assert shell.call(declared("echo out; echo err >&2")) == "out\nerr\n"
    monkeypatch.delattr("os.memfd_create")
    with pytest.raises(FileNotFoundError, match="No usable temporary directory"):
        shell.call(declared("echo out"))


def test_a_shell_command_that_fails_says_why(declared):
    with pytest.raises(CommandError, match="exit code 3: no such customer") as caught:
        shell.call(declared("echo no such customer >&2; exit 3"))
    assert caught.value.returncode == 3


def test_a_shell_command_that_is_not_allowed_does_not_run(tmp_path):
    with pytest.raises(LocoConfigurationError, match="ALLOW_SHELL"):
        shell.call(f"touch {tmp_path}/run")
    assert list(tmp_path.iterdir()) == []


def test_what_is_interrupted_leaves_no_process_behind(monkeypatch, tmp_path, declared):
    begun = tmp_path / "begun"
    text = declared(f"sleep 600 & echo $! > {tmp_path}/pid; touch {begun}; wait")

    def interrupted(process, timeout):
        while not begun.exists():
            time.sleep(0.01)
        raise JobTimeout("too long")

    with monkeypatch.context() as patch, pytest.raises(JobTimeout):
        patch.setattr(subprocess.Popen, "wait", _once(interrupted))
        shell.call(text)
    assert _ended(int((tmp_path / "pid").read_text()))
    assert resources._tracked == []


def _once(replacement):
    original, calls = subprocess.Popen.wait, []

    def wait(process, timeout=None):
        calls.append(timeout)
        return replacement(process, timeout) if len(calls) == 1 else original(process, timeout)

    return wait


def _ended(pid):
    """Whether the process is gone, or waits to be: nobody can hold on to it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_from_the_settings_to_the_result(monkeypatch):
    start = {"at": "2099-12-24 18:00", "run_on_start": True}
    schedule = {
        "shell": {"run": "echo $((6 * 7))", "shell": True, **start},
        "command": {"run": "check --tag urls", "queue": "emails", **start},
        "broken": {"run": "exit 3", "shell": True, **start},
    }
    loco = {"ALLOW_SHELL": True, "SCHEDULE": schedule, "RELEASE": "one"}
    with override_settings(LOCO=loco):
        # The apps of the tests have schedules of their own.
        with override_settings(INSTALLED_APPS=["django_loco"]):
            registry = Registry(autodiscover=True)
            registry.entries()
        monkeypatch.setattr(allowed_commands, "default", registry)
        for _ in range(2):
            scheduler = Scheduler(registry)
            scheduler.load()
            deadline = time.monotonic() + 10
            while scheduler.fire_due() == 0 and time.monotonic() < deadline:
                pass
        drain()
    ended = {job.key: job for job in queue_for("default").list()}
    assert set(ended) == {"shell@release one", "command@release one", "broken@release one"}
    assert ended["shell@release one"].return_value == '"42\\n"'
    assert "no issues" in ended["command@release one"].return_value
    assert "exit code 3" in ended["broken@release one"].errors[0].traceback


def drain():
    worker = worker_for("default", drain=True)
    worker.start()
    assert worker.join(30)
