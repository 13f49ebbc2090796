"""Writes the lines of commands, also to readers that go away."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from signal import SIGPIPE

from django.core.management.base import OutputWrapper

from ..process.exit_codes import shell_code


def show(stdout: OutputWrapper, lines: Iterable[str], *, owns_process: bool) -> None:
    """Write ``lines``. If the reader of the pipe has gone, end quietly, as Unix filters do.

    ``owns_process``: whether the process was started for this command. If not, ``BrokenPipeError`` is raised.
    """
    try:
        for line in lines:
            stdout.write(line)
        stdout.flush()
    except BrokenPipeError:
        if not owns_process:
            raise
        # The interpreter flushes the rest at its exit, which would fail, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(shell_code(-SIGPIPE))
