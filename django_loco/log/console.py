"""Sets up the console of a command: labels or JSON, colours, and levels that show the lines of jobs."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from io import TextIOWrapper
from typing import Any

from django.conf import settings

from ..core.compat import TASKS_LOGGER
from .django_records import OwnHandler, force_level, handlers_of, is_on_console, refuse_tasks
from .filters import filter_once, has_filters, passes
from .formatters import JSONFormatter, LabelFormatter, PlainFormatter
from .job_lines import ConsoleJobLines, DirectStream, show_job_lines
from .labels import bound
from .output.bounded import use_threads
from .output.nonblocking_stream import NonBlockingStream
from .output.streams import is_standard, nonblocking
from .safe import get_logger, show_with


def set_up_console(
    component: str,
    *,
    form: str = "text",
    colour: bool | None = None,
    limit: int | None = None,
    shows_starts: bool = False,
) -> None:
    """Set up the log lines that a command writes to stdout and stderr, in addition to the ``LOGGING`` setting.

    1. Each handler that writes to stdout or stderr gets a formatter that puts a label in front of its lines
       (``form="text"``, in colour if ``wants_colour``), or that writes JSON (``form="json"``).
    2. Lines of django-loco, of Django's tasks and of uvicorn's requests are shown from ``INFO`` on, once each, even if
       ``LOGGING`` would not show them: Django's default shows them only with ``DEBUG``. A level that is set for one of
       these loggers is respected.
    3. A job that ends well has one line at its end, and with ``shows_starts`` another at its start. These lines are
       left out if a handler of the project shows Django's records about jobs. ``limit``: see ``ConsoleJobLines``.
    4. Lines of jobs are shown from ``INFO`` on for all loggers, unless the project has handlers on the root logger.
    5. With ``form="json"`` Python's warnings, and exceptions that end a thread, are logged too.
    6. Handlers of the project that may block are called in threads of their own, see ``bounded.HandlerThread``.
    7. No line blocks, and lines that follow each other closely are written together; see ``streams``. ``print`` flushes
       after each line, because handlers no longer flush for it.

    ``component`` is the label of lines from no known component. A second call changes nothing.
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
    _spare_djangos_handlers()
    for handler in _std_handlers():
        if (stream := nonblocking(handler.stream)) is not handler.stream:
            handler.setStream(stream)
        _label(handler, component, form, colour=colour)
    use_threads(_handlers())
    _ask_filters_once()
    for name in names:
        _show(logging.getLogger(name), component, form, colour=colour)  # noqa: TID251 - to set it up
    _show_jobs(component, form, colour=colour)
    stream = nonblocking(sys.stderr)
    trouble = logging.StreamHandler(stream)
    _label(trouble, component, form, colour=colour)
    show_with(trouble)
    if isinstance(stream, NonBlockingStream):
        stream.gather()
    lines = stream if isinstance(stream, NonBlockingStream) else DirectStream(stream)
    colour = wants_colour(stream, colour)
    show_job_lines(ConsoleJobLines(lines, form=form, colour=colour, limit=limit, shows_starts=shows_starts))


def _spare_djangos_handlers() -> None:
    """Keep Django's records about jobs from the handlers of its default ``LOGGING``, which no project has chosen."""
    logging_setting: Mapping[str, Any] = settings.LOGGING
    if "django" not in logging_setting.get("loggers", {}):
        for handler in logging.getLogger("django").handlers:  # noqa: TID251 - to set it up
            handler.addFilter(refuse_tasks)


def _ask_filters_once() -> None:
    for handler in _handlers():
        if is_on_console(handler) and has_filters(handler):
            filter_once(handler)


def _handlers() -> list[logging.Handler]:
    named = (item for item in logging.root.manager.loggerDict.values() if isinstance(item, logging.Logger))
    return [handler for logger in (logging.root, *named) for handler in logger.handlers]


def _std_handlers() -> Iterator[logging.StreamHandler[Any]]:
    for handler in (*_handlers(), logging.lastResort):
        if isinstance(handler, logging.StreamHandler) and is_standard(handler.stream):
            yield handler


def _label(handler: logging.StreamHandler[Any], component: str, form: str, *, colour: bool | None) -> None:
    if isinstance(handler.formatter, LabelFormatter | JSONFormatter):
        return
    stream = handler.stream
    flush_next = stream.flush_next if isinstance(stream, NonBlockingStream) else lambda: None
    if form == "json":
        handler.setFormatter(JSONFormatter(component, flush_next=flush_next))
    else:
        inner = handler.formatter or PlainFormatter()
        colour = wants_colour(handler.stream, colour)
        handler.setFormatter(LabelFormatter(inner, component, colour=colour, flush_next=flush_next))


def open_standard_streams() -> None:
    """Open ``/dev/null`` for a closed stdin, stdout or stderr.

    Otherwise another file gets its number, and Django fails.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # a new file gets the lowest free number: the stream's
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode))


def wants_colour(stream: Any, wish: bool | None = None) -> bool:
    """Return whether to write in colour to ``stream``.

    The command line option ``wish`` decides first, then ``NO_COLOR``, then ``FORCE_COLOR``. Empty variables are
    ignored. Without any of these, a terminal gets colours.
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
    force_level(logger)
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
    """Shows lines that no handler takes.

    It replaces Python's last resort, because that one's stream cannot be changed.
    """

    def __init__(self) -> None:
        super().__init__(nonblocking(sys.stderr))
        self.setLevel(logging.WARNING)


class _OwnHandler(OwnHandler):
    """Shows on stderr the lines of its logger that no other handler shows."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(nonblocking(sys.stderr))
        self.setLevel(logging.INFO)
        self.logger = logger

    def filter(self, record: logging.LogRecord) -> bool:
        """Refuse lines that another handler shows, and records about jobs whose own lines are shown."""
        if not refuse_tasks(record) and bound("job_id"):
            return False
        return not any(_takes(handler, record) for handler in self._others()) and bool(super().filter(record))

    def _others(self) -> Iterator[logging.Handler]:
        return (handler for handler in handlers_of(self.logger) if not isinstance(handler, _OwnHandler))


class _JobHandler(_OwnHandler):
    """Shows on stderr the lines of jobs, and warnings without another handler, as Python's last resort does."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Refuse lines that another handler shows, and lines that are neither of a job nor warnings."""
        others = [handler for handler in handlers_of(logging.getLogger(record.name)) if handler is not self]  # noqa: TID251
        is_wanted = bound("job_id") or (record.levelno >= logging.WARNING and not others)
        return bool(is_wanted) and not any(isinstance(each, _OwnHandler) or _takes(each, record) for each in others)


def _takes(handler: logging.Handler, record: logging.LogRecord) -> bool:
    shown = is_on_console(handler) and record.levelno >= handler.level
    return shown and passes(handler, record)
