"""Keeps the log lines of a job, which are stored with the job when the run has ended.

It is done by a record factory of ``logging``, which sees each record that any logger makes in the ``contextvars``
context of the job. It is installed when the first job of the process keeps its log. It is not a handler: with a handler
on the root logger, Python and the console would no longer show the lines that no other handler shows.

The stored form is JSON text of an object on one line: the number of the attempt, the time at which the run began, how
many older lines were dropped, and the lines. ``jobs.presentation.logs`` reads it.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from ...core.compat import TASKS_LOGGER
from ...core.job import Job, utcnow
from ...core.serialization import cut, encode
from ...exceptions import RAISED_INTO_JOBS
from ...log.plain_text import indented, plain
from ...log.redaction import scrubbed
from ...log.safe import SafeLogger, get_logger, show_once

#: The most bytes (UTF-8) that are kept of one run's lines, and of one record with its traceback.
MAX_BYTES, MAX_RECORD_BYTES = 200_000, 30_000
#: The loggers whose records are about the job, not from it. They are left out: the job's state and errors say the same.
FOREIGN = ("django_loco", TASKS_LOGGER)

_keeping: ContextVar[KeptLog | None] = ContextVar("django_loco.kept_log", default=None)
_format_exception = logging.Formatter().formatException


class KeptLog:
    """The lines of one run. Any thread may add some.

    1. ``begin`` makes the further records of this context its lines, from its level on.
    2. If there are too many bytes, the oldest lines go.
    3. ``end`` returns all lines. Those that come later are dropped.
    """

    def __init__(self, job: Job, level: str, secrets: Sequence[str] = ()) -> None:
        """``level``: the name of the lowest level to keep; ``secrets``: texts to replace, the longest first."""
        self.level = logging.getLevelNamesMapping()[level]
        self._attempt = job.attempt
        self._began_at = utcnow()
        self._secrets = secrets
        self._lock = threading.RLock()  # a finalizer may log while it is held
        self._lines: deque[tuple[str, int]] = deque()
        self._size = self._dropped = 0
        self._has_ended = False

    def begin(self) -> None:
        """Add each further record of this context, and of contexts that are copied from it."""
        if not isinstance(logging.getLogRecordFactory(), KeepingFactory):
            logging.setLogRecordFactory(KeepingFactory(logging.getLogRecordFactory()))
        _keeping.set(self)

    def add(self, record: logging.LogRecord) -> None:
        """Add a record if its level is high enough. Raises only exceptions that interrupt the job."""
        if record.levelno < self.level or self._has_ended or _is_foreign(record.name):
            return
        try:
            line = self._line_of(record)
        except RAISED_INTO_JOBS:
            raise
        except Exception as error:  # noqa: BLE001 - formatting the arguments of a record may raise anything
            show_once(record.name, error)
            return
        size = len(line.encode()) + 1
        with self._lock:
            self._lines.append((line, size))
            self._size += size
            while self._size > MAX_BYTES:
                self._size -= self._lines.popleft()[1]
                self._dropped += 1

    def end(self) -> str | None:
        """Return the log as it is stored; ``None`` if nothing was logged."""
        with self._lock:
            self._has_ended = True
            lines, dropped = [line for line, _ in self._lines], self._dropped
        if not lines:
            return None
        began_at = self._began_at.isoformat(timespec="milliseconds")
        return encode({"attempt": self._attempt, "began_at": began_at, "dropped": dropped, "text": "\n".join(lines)})

    def _line_of(self, record: logging.LogRecord) -> str:
        parts = [record.getMessage()]
        if record.exc_info and record.exc_info[0] is not None:
            parts.append(_format_exception(record.exc_info))
        if record.stack_info:
            parts.append(record.stack_info)
        story = scrubbed("\n".join(parts), self._secrets)  # before the text is cut: half a secret would not be found
        story = cut(plain(story), MAX_RECORD_BYTES, "a line of a kept log has no more")
        at = datetime.fromtimestamp(record.created, UTC).isoformat(" ", "milliseconds")[:23]
        return indented(f"{at} {plain(f'{record.levelname} {record.name}')}: {story}")


def _is_foreign(name: str) -> bool:
    return any(name == logger or name.startswith(f"{logger}.") for logger in FOREIGN)


class KeepingFactory:
    """A factory of log records that also adds them to the log of the running job, if that is kept."""

    def __init__(self, inner: Callable[..., logging.LogRecord]) -> None:
        """``inner`` makes the records."""
        self._inner = inner

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        """Return a new record."""
        kept = _keeping.get()
        if kept is None:
            return self._inner(*args, **kwargs)
        token = _keeping.set(None)  # if the project has wrapped this factory, another one may be inside
        try:
            record = self._inner(*args, **kwargs)
        finally:
            _keeping.reset(token)
        if record.name:  # formatters make records without a name, to copy one
            kept.add(record)
        return record


class JobLogger(SafeLogger):
    """The logger of a task's module. Its lines are kept even if that logger has a higher level."""

    def __init__(self, name: str, kept: KeptLog | None) -> None:
        """``kept``: the log of the run, if it is kept."""
        super().__init__(get_logger(name).logger)
        self._kept = kept

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line. All other methods call this one."""
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        if self._kept is not None and level >= self._kept.level and not self.isEnabledFor(level):
            self._kept.add(_record(self.logger.name, level, msg, args, kwargs.get("exc_info")))
        super().log(level, msg, *args, **kwargs)


def _record(name: str, level: int, msg: object, args: tuple[object, ...], given: Any) -> logging.LogRecord:
    """Return the record that the logger would make if its level were low enough."""
    error = given if isinstance(given, BaseException) else None
    found = (type(error), error, error.__traceback__) if error is not None else given
    info = found if isinstance(found, tuple) else sys.exc_info() if given else None
    return logging.LogRecord(name, level, "", 0, msg, args, info)
