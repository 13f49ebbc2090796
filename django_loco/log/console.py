"""The console of a command: lines that say where they come from, whatever ``LOGGING`` says of them."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
import threading
from collections.abc import Iterator
from io import TextIOWrapper
from typing import Any

from django.utils.log import AdminEmailHandler

from ..core.compat import TASKS_LOGGER
from .labels import JSONFormatter, LabelFormatter, PlainFormatter, bound
from .safe import get_logger
from .streams import is_standard, nonblocking

#: Where lines go that no console shows.
_ELSEWHERE = (
    logging.FileHandler,
    logging.NullHandler,
    logging.handlers.HTTPHandler,
    logging.handlers.SMTPHandler,
    logging.handlers.SocketHandler,
    logging.handlers.SysLogHandler,
    AdminEmailHandler,
)


def set_up_console(component: str, *, form: str = "text", colour: bool | None = None) -> None:
    """Make the console of this process readable, whatever ``LOGGING`` says of it; for the commands.

    1. Each handler that writes to stdout or stderr gets a formatter that puts the label in front of its own lines
       (``form="text"``, in colour as ``wants_colour`` says), or writes JSON (``form="json"``).
    2. What django-loco and Django's tasks log from ``INFO`` on, and uvicorn of requests, is shown, also where
       ``LOGGING`` would not (Django's default shows it with ``DEBUG`` only) but never twice. A level set for these
       loggers is respected.
    3. So is what jobs log from ``INFO`` on, by whatever logger, unless the project has handlers for all loggers.
    4. In JSON what Python itself would write comes through the log, too: warnings, and exceptions that end a thread.
    5. No line waits for a stream that takes nothing; see ``streams``. What jobs print goes out line by line: handlers
       no longer flush it.

    ``component`` is the one of lines that cannot be told otherwise. A second call changes nothing.
    """
    names = ["django_loco", TASKS_LOGGER, "uvicorn.access"]
    if form == "json":
        logging.captureWarnings(capture=True)
        threading.excepthook = _log_end_of_thread
        names.append("py.warnings")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    if nonblocking(sys.stderr) is not sys.stderr:
        logging.lastResort = _LastResort()
    for handler in _std_handlers():
        if (stream := nonblocking(handler.stream)) is not handler.stream:
            handler.setStream(stream)
        _label(handler, component, form, colour=colour)
    for name in names:
        _show(logging.getLogger(name), component, form, colour=colour)  # noqa: TID251 - to set it up
    _show_jobs(component, form, colour=colour)


def _std_handlers() -> Iterator[logging.StreamHandler[Any]]:
    named = (item for item in logging.root.manager.loggerDict.values() if isinstance(item, logging.Logger))
    handlers = [handler for logger in (logging.root, *named) for handler in logger.handlers]
    for handler in (*handlers, logging.lastResort):
        if isinstance(handler, logging.StreamHandler) and is_standard(handler.stream):
            yield handler


def _label(handler: logging.StreamHandler[Any], component: str, form: str, *, colour: bool | None) -> None:
    if isinstance(handler.formatter, LabelFormatter | JSONFormatter):
        return
    if form == "json":
        handler.setFormatter(JSONFormatter(component))
    else:
        inner = handler.formatter or PlainFormatter()
        handler.setFormatter(LabelFormatter(inner, component, colour=wants_colour(handler.stream, colour)))


def open_standard_streams() -> None:
    """Put ``/dev/null`` where stdin, stdout or stderr were closed: files would take their numbers, and Django fails."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free, which is the stream's own
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode))


def wants_colour(stream: Any, wish: bool | None = None) -> bool:
    """Return whether to write in colour to ``stream``: as its user wishes, else if it is a terminal.

    ``wish`` is that of the command line. After it comes ``NO_COLOR``, then ``FORCE_COLOR``; empty ones do not count.
    """
    if wish is not None:
        return wish
    return not os.environ.get("NO_COLOR") and bool(os.environ.get("FORCE_COLOR") or stream.isatty())


def _log_end_of_thread(end: threading.ExceptHookArgs) -> None:
    if end.exc_type is not SystemExit:
        name = end.thread.name if end.thread else "?"
        error = (end.exc_type, end.exc_value or end.exc_type(), end.exc_traceback)
        get_logger("django_loco").error("The thread %r has ended with an error", name, exc_info=error)


def _show(logger: logging.Logger, component: str, form: str, *, colour: bool | None) -> None:
    if logger.level == logging.NOTSET and not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    if not any(isinstance(handler, _OwnHandler) for handler in logger.handlers):
        handler = _OwnHandler(logger)
        _label(handler, component, form, colour=colour)
        logger.addHandler(handler)


def _show_jobs(component: str, form: str, *, colour: bool | None) -> None:
    root = logging.root
    if root.handlers or root.level != logging.WARNING:  # Python's own level: the project has not set any
        return
    root.setLevel(logging.INFO)
    handler = _JobHandler(root)
    _label(handler, component, form, colour=colour)
    root.addHandler(handler)


class _LastResort(logging.StreamHandler[Any]):
    """Shows what has no handler at all. Python's own cannot be given another stream."""

    def __init__(self) -> None:
        super().__init__(nonblocking(sys.stderr))
        self.setLevel(logging.WARNING)


class _OwnHandler(logging.StreamHandler[Any]):
    """Shows on stderr what no other handler of its logger would show."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(nonblocking(sys.stderr))
        self.setLevel(logging.INFO)
        self.logger = logger

    def filter(self, record: logging.LogRecord) -> bool:
        """Refuse what is shown anyway."""
        return not any(_takes(handler, record) for handler in self._others()) and bool(super().filter(record))

    def _others(self) -> Iterator[logging.Handler]:
        return (handler for handler in _handlers_of(self.logger) if not isinstance(handler, _OwnHandler))


class _JobHandler(_OwnHandler):
    """Shows on stderr what jobs log, and what has no other handler, as Python's last resort does."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Refuse what is shown anyway, and what is neither a job's nor worth a look."""
        others = [handler for handler in _handlers_of(logging.getLogger(record.name)) if handler is not self]  # noqa: TID251
        is_wanted = bound("job_id") or (record.levelno >= logging.WARNING and not others)
        return bool(is_wanted) and not any(isinstance(each, _OwnHandler) or _takes(each, record) for each in others)


def _handlers_of(logger: logging.Logger | None) -> Iterator[logging.Handler]:
    while logger:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _takes(handler: logging.Handler, record: logging.LogRecord) -> bool:
    if isinstance(handler, logging.StreamHandler) and not is_standard(handler.stream):
        return False
    shown = not isinstance(handler, _ELSEWHERE) and record.levelno >= handler.level
    return shown and bool(handler.filter(record))
