"""Sets up the console of a command: labels or JSON, colours, and levels that show the lines of jobs."""

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

#: Handlers whose lines no console shows.
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
    """Set up the log lines that a command writes to stdout and stderr, in addition to the ``LOGGING`` setting.

    1. Each handler that writes to stdout or stderr gets a formatter that puts a label in front of its lines
       (``form="text"``, in colour if ``wants_colour``), or that writes JSON (``form="json"``).
    2. Lines of django-loco, of Django's tasks and of uvicorn's requests are shown from ``INFO`` on, once each, even if
       ``LOGGING`` would not show them: Django's default shows them only with ``DEBUG``. A level that is set for one of
       these loggers is respected.
    3. Lines of jobs are shown from ``INFO`` on for all loggers, unless the project has handlers on the root logger.
    4. With ``form="json"`` Python's warnings, and exceptions that end a thread, are logged too.
    5. No line blocks; see ``streams``. ``print`` flushes after each line, because handlers no longer flush for it.

    ``component`` is the label of lines whose component is not known otherwise. A second call changes nothing.
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
    """Open ``/dev/null`` for a closed stdin, stdout or stderr; else other files take its number, and Django fails."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest free number is that of the stream
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode))


def wants_colour(stream: Any, wish: bool | None = None) -> bool:
    """Return whether to write in colour to ``stream``.

    The option of the command line, ``wish``, decides first, then ``NO_COLOR``, then ``FORCE_COLOR``; empty ones are
    ignored. Without any of them a terminal gets colours.
    """
    if wish is not None:
        return wish
    return not os.environ.get("NO_COLOR") and bool(os.environ.get("FORCE_COLOR") or stream.isatty())


def _log_end_of_thread(end: threading.ExceptHookArgs) -> None:
    if end.exc_type is not SystemExit:
        name = end.thread.name if end.thread else "?"
        error = (end.exc_type, end.exc_value or end.exc_type(), end.exc_traceback)
        get_logger("django_loco").error("Thread %r ended with an error", name, exc_info=error)


def _show(logger: logging.Logger, component: str, form: str, *, colour: bool | None) -> None:
    if logger.level == logging.NOTSET and not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    if not any(isinstance(handler, _OwnHandler) for handler in logger.handlers):
        handler = _OwnHandler(logger)
        _label(handler, component, form, colour=colour)
        logger.addHandler(handler)


def _show_jobs(component: str, form: str, *, colour: bool | None) -> None:
    root = logging.root
    if root.handlers or root.level != logging.WARNING:  # Python's default: the project has not set a level
        return
    root.setLevel(logging.INFO)
    handler = _JobHandler(root)
    _label(handler, component, form, colour=colour)
    root.addHandler(handler)


class _LastResort(logging.StreamHandler[Any]):
    """Shows lines without any handler, as Python's last resort does, whose stream cannot be replaced."""

    def __init__(self) -> None:
        super().__init__(nonblocking(sys.stderr))
        self.setLevel(logging.WARNING)


class _OwnHandler(logging.StreamHandler[Any]):
    """Shows on stderr the lines of its logger that no other handler shows."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(nonblocking(sys.stderr))
        self.setLevel(logging.INFO)
        self.logger = logger

    def filter(self, record: logging.LogRecord) -> bool:
        """Refuse lines that another handler shows."""
        return not any(_takes(handler, record) for handler in self._others()) and bool(super().filter(record))

    def _others(self) -> Iterator[logging.Handler]:
        return (handler for handler in _handlers_of(self.logger) if not isinstance(handler, _OwnHandler))


class _JobHandler(_OwnHandler):
    """Shows on stderr the lines of jobs, and warnings without another handler, as Python's last resort does."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Refuse lines that another handler shows, and lines that are neither of a job nor warnings."""
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
