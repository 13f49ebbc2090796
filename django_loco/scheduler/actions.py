"""The tasks that run a management command or a shell command for a schedule.

Their jobs have attempts, a time limit and a result like all others; the result is the end of the output of
the command. This module is imported only when a schedule needs it, because tasks can be made only after Django
is set up.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from io import StringIO
from typing import IO

from django.core.management import CommandError, call_command

from ..shutdown import tracked
from ..tasks.decorator import task
from .api.allowed_commands import require_command, require_shell_text

#: The result is the end of the output, up to this many characters.
MAX_OUTPUT_CHARACTERS = 10_000
#: The seconds after which a job that waits for a child process can be interrupted.
POLL_SECONDS = 1.0


@task
def command(*words: str, silent: bool = False) -> str:
    """Run the management command ``words``: its name and arguments. Raises the errors of the command.

    Raises ``CommandError`` with the output if it exits with another code than 0, and ``LocoConfigurationError`` unless
    code or settings allow it.
    """
    require_command(words)
    output = StringIO()
    name, *arguments = words
    code = 0
    try:
        call_command(name, *arguments, stdout=output, stderr=output, no_color=True)
    except SystemExit as end:
        code = _exit_code(end, output)
    return _result(code, output.getvalue()[-MAX_OUTPUT_CHARACTERS:], is_silent=silent)


@task
def shell(text: str, *, silent: bool = False) -> str:
    """Run ``text`` in ``/bin/sh``. Raises ``CommandError`` with the output if the exit code is not 0.

    Raises ``LocoConfigurationError`` unless ``LOCO["ALLOW_SHELL"]`` is set and a schedule of the settings has this
    text. Otherwise everybody who can write to the store could run any command.
    """
    require_shell_text(text)
    with _output_file() as output:
        code = _run(text, output)
        text = _end_of(output)
    return _result(code, text, is_silent=silent)


def _result(code: int, output: str, *, is_silent: bool) -> str:
    """Return the result of a command. Raises ``CommandError`` if its exit code is not 0."""
    if code:
        raise CommandError(f"exit code {code}: {output}", returncode=code)
    return "" if is_silent else output


def _exit_code(end: SystemExit, output: StringIO) -> int:
    """Return the exit code that Python would use. A text instead of a code is written to ``output``, and means 1."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    output.write(f"{end.code}\n")
    return 1


def _output_file() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except FileNotFoundError:  # a read-only file system
        if not hasattr(os, "memfd_create"):  # only Linux has memfd_create
            raise
        return os.fdopen(os.memfd_create("output"), "w+b")


def _run(text: str, output: IO[bytes]) -> int:
    """Return the exit code. If the wait is interrupted, the shell and all its children are killed."""
    process = subprocess.Popen(  # noqa: S602 - allowed by ALLOW_SHELL
        text, shell=True, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )
    with tracked(process, lambda: _end(process)):
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(POLL_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _end_of(output: IO[bytes]) -> str:
    length = output.seek(0, os.SEEK_END)
    output.seek(max(0, length - MAX_OUTPUT_CHARACTERS))
    return output.read().decode(errors="replace")
