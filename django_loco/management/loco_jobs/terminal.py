"""Asks on a terminal before several jobs are changed, and shows how many a command has taken so far."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from signal import SIGINT
from typing import Self

from django.core.management.base import CommandError, OutputWrapper

from ...log.plain_text import counted
from ...process.exit_codes import shell_code

#: Seconds between two updates of the number.
PAUSE_SECONDS = 0.2
#: Goes to the beginning of the line, and deletes it.
_CLEAR = "\r\x1b[K"


def may(stdout: OutputWrapper, title: str, what: str, *, yes: bool) -> bool:
    """Ask on a terminal whether to do it, and return the answer. Without a terminal, ``--yes`` is required.

    ``title`` is the verb, ``what`` are the jobs. Raises ``CommandError`` if nobody can be asked.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise CommandError(f"{title} would take {what}. To do it, give --yes.")
    stdout.write(f"{title} {what}? [y/N] ", ending="")
    stdout.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    stdout.write("Nothing was changed.")
    return False


def interrupted(number: int, done: str) -> CommandError:
    """Return the error after Ctrl-C, when ``number`` jobs were ``done``."""
    text = f"Interrupted, after {jobs_in_words(number)} {'was' if number == 1 else 'were'} {done}."
    return CommandError(f"{text} To finish it, run the command again.", returncode=shell_code(-SIGINT))


def jobs_in_words(number: int, text: str = "") -> str:
    """Return ``1 job``, or ``1,234 jobs``. ``text`` replaces the number."""
    return counted(number, "job", "jobs", text=text)


class Progress:
    """A line on stderr with a number that is updated in place. Shows nothing if stderr is no terminal.

    The line is deleted at the end of the ``with`` block.
    """

    def __init__(self, stderr: OutputWrapper, verb: str, clock: Callable[[], float] = time.monotonic) -> None:
        """``verb`` stands before the number: ``Dumping``."""
        self._stderr = stderr
        self._verb = verb
        self._clock = clock
        self._next = 0.0
        self._is_shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_shown:
            self._write("")

    def show(self, number: int) -> None:
        """Show a number, unless the last one was shown just before."""
        if self._stderr.isatty() and self._clock() >= self._next:
            self._next = self._clock() + PAUSE_SECONDS
            self._is_shown = True
            self._write(f"{self._verb} jobs: {number:,}")

    def _write(self, text: str) -> None:
        self._stderr.write(f"{_CLEAR}{text}", style_func=str, ending="")
        self._stderr.flush()
