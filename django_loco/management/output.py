"""The base class of all commands. It handles readers that go away, and disks that are full."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from signal import SIGINT, SIGPIPE
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper

from ..exceptions import LocoConfigurationError
from ..jobs.stores import backend_of, queue_of, searched
from ..log.console import open_standard_streams
from ..process.exit_codes import shell_code

#: Flags of other systems' commands, and the flags to use here instead.
_FLAGS = {
    "-c": "--concurrency",
    "--threads": "--concurrency",
    "-p": "--processes",
    "--workers": "--processes",
    "-Q": "--queues",
    "-q": "--queues",
    "-B": "--scheduler",
    "--beat": "--scheduler",
    "--burst": "--drain",
    "--max-tasks-per-child": "--max-jobs",
}
#: Flags of other systems that set the level of the log, and the remedy here.
_LEVELS, _LEVEL = ("-l", "--loglevel", "--log-level"), "the level of a logger in LOGGING"


class OutputCommand(BaseCommand):
    """A command. A wrong setting ends it with a message instead of a traceback.

    If the process was started for the command, errors of stdout show no traceback either.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        open_standard_streams()
        super().__init__(*args, **options)

    @property
    def owns_process(self) -> bool:
        """Whether the process was started for this command."""
        return getattr(self, "_called_from_command_line", False)

    def create_parser(self, *args: Any, **options: Any) -> CommandParser:
        """Return a parser. If a flag of another system is used, its error says which flag to use here."""
        parser = super().create_parser(*args, **options)
        error, usage = parser.error, parser.format_usage()
        parser.error = lambda message: error(message + _hint(message, usage))  # type: ignore[method-assign]
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        """Run the command from a command line. Characters that stdout cannot encode are written with backslashes."""
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        self.stdout = OwnOutput(sys.stdout)
        super().run_from_argv(argv)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command. Raises ``CommandError`` for a wrong setting, and after Ctrl-C if it owns the process."""
        if self.owns_process and not (options.get("no_color") or options.get("force_color")):
            options["no_color"] = bool(os.environ.get("NO_COLOR"))
            options["force_color"] = bool(os.environ.get("FORCE_COLOR")) and not options["no_color"]
        try:
            return super().execute(*args, **options)
        except LocoConfigurationError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            if not self.owns_process:
                raise
            raise CommandError("Interrupted.", returncode=shell_code(-SIGINT)) from None
        finally:
            if self.owns_process:
                self.stdout.flush()  # flushed here, since at its exit the interpreter would show a traceback

    def show(self, lines: Iterable[str]) -> None:
        """Write ``lines`` to stdout."""
        for line in lines:
            self.stdout.write(line)
        self.stdout.flush()


def _hint(message: str, usage: str) -> str:
    """Return which flags of ``usage`` to use instead of the flags that ``message`` calls unrecognized."""
    flags = [word.partition("=")[0] for word in message.split() if word.startswith("-")]
    known = {**{flag: ours for flag, ours in _FLAGS.items() if f"[{ours}" in usage}, **dict.fromkeys(_LEVELS, _LEVEL)}
    if "[--http-workers" in usage:
        known["--workers"] = "--worker to run jobs, --http-workers with --http gunicorn"
    return "".join(f". In place of {flag} write {known[flag]}" for flag in flags if flag in known)


class OwnOutput(OutputWrapper):
    """The stdout of a process that was started for a command.

    If the reader of the pipe has gone, the process ends quietly, as Unix filters do. If the output cannot be written
    for another reason, such as a full disk, it raises ``CommandError``.
    """

    def write(self, *line: Any, **options: Any) -> None:  # type: ignore[override] # as in Django
        """Write a line."""
        with _or_end():
            super().write(*line, **options)

    def flush(self) -> None:
        """Write the content of the buffer."""
        with _or_end():
            super().flush()


@contextmanager
def _or_end() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        _drop_the_rest()
        sys.exit(shell_code(-SIGPIPE))
    except OSError as error:
        _drop_the_rest()
        raise CommandError(f"The output cannot be written: {error}") from error


def warning_of_memory(backend: str | None) -> str:
    """Return a warning about jobs in memory, which this process cannot see; empty if ``backend`` has none."""
    own = [alias for alias in searched(backend) if not queue_of(alias).is_shared]
    waiting = [f"TASKS[{alias!r}]" for alias in own if backend_of(alias).runs_stored_jobs]
    run = [f"TASKS[{alias!r}]" for alias in own if not backend_of(alias).runs_stored_jobs]
    sentences = []
    if waiting:
        sentences.append(
            f"The jobs of {' and '.join(waiting)} are in the memory of the processes that enqueue them, so this "
            "command sees none of them. Look at /_health of the site, or use WORKER_MODE = 'BackgroundQueue'."
        )
    if run:
        sentences.append(
            f"The jobs of {' and '.join(run)} run inside enqueue() (ForegroundBlocking), so none wait, and this "
            "command does not see those that have run."
        )
    return " ".join(sentences)


def refusal_in_memory(backend: str | None) -> str:
    """Return why a process that was started for a command can change no job of ``backend``; empty if it can."""
    aliases = searched(backend)
    if any(queue_of(alias).is_shared for alias in aliases):
        return ""
    waits = any(backend_of(alias).runs_stored_jobs for alias in aliases)
    reason = (
        "are in the memory of the processes that enqueue them, which it cannot reach"
        if waits
        else "run inside enqueue() (ForegroundBlocking), so none wait"
    )
    own = " and ".join(f"TASKS[{alias!r}]" for alias in aliases)
    site = "; or do it in the site's process, on the dashboard or with django_loco.jobs" if waits else ""
    return (
        f"This command would change nothing: the jobs of {own} {reason}. Set WORKER_MODE = 'BackgroundQueue' and use a "
        f"queue that processes share, such as 'database'{site}."
    )


def _drop_the_rest() -> None:
    """Send the rest of the output to the null device, so that the interpreter can flush it at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
