"""The tasks of schedules that run no task: a management command, or a command of the shell.

They are jobs as all others, with attempts, a time limit and a result: the last of what was written to stdout and
stderr. This module is imported when a schedule needs it, since a task can be made only when Django is set up.
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

#: How much of the output is kept: its last characters.
MAX_OUTPUT_CHARACTERS = 10_000
#: Seconds after which a job that waits for a child process can be interrupted.
POLL_SECONDS = 1.0


@task
def command(*words: str, silent: bool = False) -> str:
    """Run a management command: its name and its arguments. Raises ``CommandError``, and what the command raises.

    Raises ``LocoConfigurationError`` for one that neither code nor settings allow.
    """
    require_command(words)
    output = StringIO()
    name, *arguments = words
    call_command(name, *arguments, stdout=output, stderr=output, no_color=True)
    return "" if silent else output.getvalue()[-MAX_OUTPUT_CHARACTERS:]


@task
def shell(text: str, *, silent: bool = False) -> str:
    """Run ``text`` in ``/bin/sh``. Raises ``CommandError`` with the output if the exit code is not 0.

    Raises ``LocoConfigurationError`` where ``LOCO["ALLOW_SHELL"]`` is not set, and for a text that no schedule of the
    settings has: whoever writes to the store could run what they like.
    """
    require_shell_text(text)
    with tempfile.TemporaryFile() as output:
        code = _run(text, output)
        told = _end_of(output)
    if code:
        raise CommandError(f"exit code {code}: {told}", returncode=code)
    return "" if silent else told


def _run(text: str, output: IO[bytes]) -> int:
    """Return the exit code. Whatever ends the waiting ends the shell and all that it started."""
    process = subprocess.Popen(  # noqa: S602 - what ALLOW_SHELL allows
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
