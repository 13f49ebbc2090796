"""Lines for readers that stay, and for readers that go away."""

from __future__ import annotations

import io
from errno import ENOSPC
from signal import SIGINT, SIGPIPE

import pytest
from django.core.management import call_command, load_command_class
from django.core.management.base import CommandError

from django_loco.management.output import OutputCommand, OwnOutput, refusal_in_memory, warning_of_memory


class Broken(io.StringIO):
    """A stream whose reader has gone, or whose disk is full."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


def test_each_line_is_written():
    command = OutputCommand(stdout=io.StringIO())
    command.show(iter(["one", "two"]))
    assert command.stdout.getvalue() == "one\ntwo\n"


@pytest.mark.parametrize(
    ("command", "words", "remedy"),
    [
        ("loco_worker", "-c 4", "-c 4. In place of -c write --concurrency"),
        ("loco_worker", "-Q x -B", "In place of -Q write --queues. In place of -B write --scheduler"),
        ("loco_worker", "-l info", "In place of -l write the level of a logger in LOGGING"),
        ("loco_worker", "--workers=4", "In place of --workers write --processes"),
        ("loco_start", "--workers 4", "write --worker to run jobs, --http-workers with --http gunicorn"),
        ("loco_scheduler", "-c 4", "unrecognized arguments: -c 4"),
        ("loco_worker", "--bogus", "unrecognized arguments: --bogus"),
    ],
)
def test_flags_of_other_systems_have_hints(command, words, remedy):
    parser = load_command_class("django_loco", command).create_parser("manage.py", command)
    parser.called_from_command_line = False
    with pytest.raises(CommandError) as raised:
        parser.parse_args(words.split())
    assert str(raised.value).endswith(remedy)


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(ENOSPC, "No space left on device")])
def test_within_another_program_an_output_that_cannot_be_written_raises_its_own_error(error):
    with pytest.raises(type(error)):
        OutputCommand(stdout=Broken(error)).show(["one"])


@pytest.mark.parametrize("act", [lambda out: out.write("one"), lambda out: out.flush()])
def test_a_reader_that_has_gone_ends_the_process_quietly(monkeypatch, act):
    dropped = []
    monkeypatch.setattr("django_loco.management.output._drop_the_rest", lambda: dropped.append(1))
    stream = Broken(BrokenPipeError())
    stream.flush = lambda: stream.write("")
    with pytest.raises(SystemExit) as ended:
        act(OwnOutput(stream))
    assert (ended.value.code, dropped) == (128 + SIGPIPE, [1])


def test_an_output_that_cannot_be_written_is_a_clear_error(monkeypatch):
    monkeypatch.setattr("django_loco.management.output._drop_the_rest", lambda: None)
    with pytest.raises(CommandError, match=r"The output cannot be written: .*No space left on device"):
        OwnOutput(Broken(OSError(ENOSPC, "No space left on device"))).write("one")


class Interrupted(OutputCommand):
    """A command in which somebody presses Ctrl-C."""

    def handle(self, *_args, **_options):
        raise KeyboardInterrupt


def test_ctrl_c_ends_the_process_of_a_command_without_a_traceback():
    command = Interrupted()
    command._called_from_command_line = True
    with pytest.raises(CommandError, match=r"^Interrupted\.$") as raised:
        call_command(command)
    assert raised.value.returncode == 128 + SIGINT


def test_ctrl_c_stays_what_it_is_within_another_program():
    with pytest.raises(KeyboardInterrupt):
        call_command(Interrupted())


class Coloured(OutputCommand):
    """A command that says whether it has colours."""

    def handle(self, *_args, **options):
        return str(options["force_color"] and not options["no_color"])


@pytest.mark.parametrize(
    ("variables", "options", "expected"),
    [
        ({}, {}, "False"),
        ({"FORCE_COLOR": "1"}, {}, "True"),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, {}, "False"),
        ({"FORCE_COLOR": "1"}, {"no_color": True}, "False"),
        ({"NO_COLOR": "1"}, {"force_color": True}, "True"),
        ({"NO_COLOR": ""}, {"force_color": True}, "True"),
    ],
)
def test_options_decide_about_colours_before_variables(monkeypatch, variables, options, expected):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    command = Coloured(stdout=io.StringIO())
    command._called_from_command_line = True
    assert call_command(command, **options) == expected


def test_no_color_takes_the_colours_of_errors():
    command = Coloured(stdout=io.StringIO())
    command._called_from_command_line = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_COLOR", "1")
        call_command(command)
    assert command.style.ERROR("wrong") == "wrong"
    assert command.stderr.style_func("wrong") == "wrong"


def test_jobs_that_cannot_be_seen_are_in_memory_or_run_at_once(settings):
    settings.TASKS = {
        "default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"mode": "BackgroundAsync"}},
        "now": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"mode": "ForegroundBlocking"}},
    }
    waiting = "The jobs of TASKS['default'] are in the memory of the processes that enqueue them, "
    run = "The jobs of TASKS['now'] run inside enqueue() (ForegroundBlocking), so none wait, "
    assert warning_of_memory("default").startswith(waiting)
    assert warning_of_memory("now").startswith(run)
    assert waiting in warning_of_memory(None)
    assert run in warning_of_memory(None)
    assert "the jobs of TASKS['now'] run inside enqueue() (ForegroundBlocking), so none wait." in refusal_in_memory(
        "now"
    )
    assert refusal_in_memory(None).startswith("This command would change nothing: the jobs of TASKS['default'] and ")


def test_jobs_that_processes_share_can_be_changed_beside_others_in_memory(settings):
    backend = "django_loco.backend.LocoBackend"
    settings.TASKS = {
        "default": {"BACKEND": backend, "OPTIONS": {"mode": "BackgroundAsync"}},
        "shared": {"BACKEND": backend, "OPTIONS": {"mode": "BackgroundQueue", "queue": "database"}},
    }
    assert refusal_in_memory("default")
    assert not refusal_in_memory("shared")
    assert not refusal_in_memory(None)
