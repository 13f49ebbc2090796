"""The lines about jobs that end well, on the console: ``send#9f3a01bc/1 done in 12 ms, waited 3 ms``.

A busy worker ends thousands of jobs a second. So these lines are no records of ``logging``. The thread of a job only
passes on its job and two times, and the thread that writes the stream makes the text. The project's handlers get
Django's records instead, see ``django_records``.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from collections.abc import Callable
from functools import lru_cache, partial
from json.encoder import encode_basestring_ascii as quoted
from typing import Protocol, TextIO

from ..core.job import Job
from ..exceptions import RAISED_INTO_JOBS
from . import django_records
from .labels import bound, component_label, job_label, placed
from .output.nonblocking_stream import Entry
from .plain_text import duration_text

#: The logger whose level decides whether these lines are shown.
LOGGER = "django_loco.jobs"

#: The time after each second in which threads may still count their jobs.
_LATE_SECONDS = 0.05

_logger = logging.getLogger(LOGGER)  # noqa: TID251 - only its level is read


class JobLines(Protocol):
    """Shows lines about jobs. It neither raises nor blocks."""

    def started(self, job: Job) -> None:
        """Show that an attempt begins."""

    def done(self, job: Job, seconds: float) -> None:
        """Show that a job has ended well, after an attempt of ``seconds``."""


class LineStream(Protocol):
    """The interface of a stream for ``ConsoleJobLines``; see ``NonBlockingStream``."""

    def add(self, entry: Entry) -> None:
        """Write a line when its turn has come."""

    def schedule_line(self, at: float, entry: Entry) -> None:
        """Write a line at a time."""


class DirectStream:
    """Writes each line at once to a stream without a descriptor, such as one that a project has put in place."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def add(self, entry: Entry) -> None:
        """Write a line."""
        try:
            with self._lock:
                self._stream.write(entry if isinstance(entry, str) else entry())
        except RAISED_INTO_JOBS:
            raise
        except Exception:  # noqa: BLE001 - for example, a closed stream; the error cannot be shown anywhere else
            return

    def schedule_line(self, at: float, entry: Entry) -> None:
        """Do nothing: the line is written before the line of the next job."""


class ConsoleJobLines:
    """Writes the lines to a stream, as text or as JSON.

    If more than ``limit`` jobs end within one second, only the first ones get a line, and one more line says how many
    others there were.
    """

    def __init__(
        self,
        stream: LineStream,
        *,
        form: str = "text",
        colour: bool = False,
        limit: int | None = None,
        shows_starts: bool = False,
    ) -> None:
        """``limit`` is the number of lines in a second; ``None``: no limit."""
        self._stream = stream
        self._form: Callable[..., str] = _as_json if form == "json" else partial(_as_text, colour=colour)
        self._limit = math.inf if limit is None else limit
        self._shows_starts = shows_starts
        self._second = self._count = self._left_out = 0
        self._component = ""
        self._full_second = -1
        # A counter that many threads increase without a lock. Reading it increases it, too.
        self._skipped, self._looks, self._skipped_told = itertools.count(), 0, 0

    def started(self, job: Job) -> None:
        """Show that an attempt begins, if asked to."""
        if self._shows_starts and _is_shown():
            self._stream.add(partial(self._started, job, bound("component"), time.time()))

    def done(self, job: Job, seconds: float) -> None:
        """Show that a job has ended well."""
        if _is_shown():
            now = time.time()
            if int(now) == self._full_second:
                next(self._skipped)
            else:
                self._stream.add(partial(self._done, job, bound("component"), now, seconds))

    # The thread that writes the stream calls the rest, for one line after the other.

    def _started(self, job: Job, component: str, at: float) -> str:
        waited = _waited(job, at)
        return self._form(at, component, f"started, waited {duration_text(waited)}", job, waited=waited)

    def _done(self, job: Job, component: str, at: float, seconds: float) -> str:
        is_next = at >= self._second + 1 or at < self._second - 1  # the clock may have been set back
        more = self._next_second(int(at)) if is_next else ""
        self._count += 1
        if self._count > self._limit:
            self._leave_out(component)
            return more
        waited = _waited(job, at - seconds)
        text = f"done in {duration_text(seconds)}, waited {duration_text(waited)}"
        return more + self._form(at, component, text, job, duration=seconds, waited=waited)

    def _leave_out(self, component: str) -> None:
        self._left_out += 1
        if self._left_out == 1:
            self._component, self._full_second = component, self._second
            self._schedule_line(self._second + 1 - time.time())

    def _next_second(self, second: int) -> str:
        more = self._more()
        self._second, self._count = second, 0
        return more

    def _more(self) -> str:
        """Return the line about jobs that were left out; empty if there were none."""
        skipped = next(self._skipped) - self._looks
        self._looks += 1
        count, self._left_out = self._left_out + skipped - self._skipped_told, 0
        self._skipped_told = skipped
        if not count:
            return ""
        self._schedule_line(1.0)  # a thread may be late in counting its job
        return self._form(self._second + 1.0, self._component, f"{count:,} more in the last second")

    def _schedule_line(self, seconds: float) -> None:
        self._stream.schedule_line(time.monotonic() + max(0.0, seconds) + _LATE_SECONDS, self._more)


def _is_shown() -> bool:
    """Whether the project wants these lines, and shows no other records in their place."""
    return _logger.isEnabledFor(logging.INFO) and not django_records.is_silenced() and not django_records.sees_tasks()


def _waited(job: Job, begun: float) -> float:
    """Return the seconds from when the job was ready until ``begun``; at least 0, as clocks of machines may differ."""
    return max(0.0, begun - job.ready_since.timestamp())


def _as_text(
    at: float,
    component: str,
    text: str,
    job: Job | None = None,
    *,
    colour: bool,
    **times: float,  # noqa: ARG001 - in the text
) -> str:
    label = f"{job_label(job.task_path, job.id, job.attempt, job.request_id)} " if job is not None else ""
    return f"{component_label(placed(component or 'worker'), colour=colour)} [{_clock(int(at))}] {label}{text}\n"


def _as_json(at: float, component: str, text: str, job: Job | None = None, **times: float) -> str:
    fields = ""
    if job is not None:
        request = f', "request_id": {quoted(job.request_id)}' if job.request_id else ""
        fields = f', "job_id": {quoted(job.id)}, "task": {quoted(job.task_path)}, "attempt": {job.attempt}{request}'
    for name, seconds in times.items():
        fields += f', "{name}": {seconds:.6f}'
    second = int(at)
    return (
        f'{{"time": "{_utc(second)}.{int((at - second) * 1_000_000):06d}+00:00", "level": "INFO", '
        f'"logger": "{LOGGER}", "message": {quoted(text)}, "component": {quoted(placed(component or "worker"))}'
        f"{fields}}}\n"
    )


@lru_cache(4)
def _utc(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


@lru_cache(4)
def _clock(second: int) -> str:
    return time.strftime("%d/%b/%Y %H:%M:%S", time.localtime(second))


class _NoJobLines:
    """Shows nothing, for processes without a console."""

    def started(self, job: Job) -> None:
        """Do nothing."""

    def done(self, job: Job, seconds: float) -> None:
        """Do nothing."""


_lines: JobLines = _NoJobLines()


def show_job_lines(lines: JobLines | None) -> None:
    """Show the lines about jobs of this process with ``lines``; ``None``: show none."""
    global _lines
    _lines = lines or _NoJobLines()


def started(job: Job) -> None:
    """Show that an attempt begins, if the console of this process was set up."""
    _lines.started(job)


def done(job: Job, seconds: float) -> None:
    """Show that a job has ended well, after an attempt of ``seconds``, if the console of this process was set up."""
    _lines.done(job, seconds)
