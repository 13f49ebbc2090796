"""Shows on a terminal how many jobs a command has taken so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

from django.core.management.base import OutputWrapper

#: Seconds between two updates of the number.
PAUSE_SECONDS = 0.2
#: Goes to the beginning of the line, and deletes it.
_CLEAR = "\r\x1b[K"


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
