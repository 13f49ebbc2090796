"""Decides who gets the records that Django's Tasks framework logs about a job: ``Task id=... path=... state=...``.

On the console, the lines of ``job_lines`` replace these records. The records are still made for handlers that the
project has set up, and for tools that listen to all of ``logging``, such as Sentry. Without any of these they cost
nothing.
"""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Iterator
from typing import Any

from django.utils.log import RequireDebugFalse, RequireDebugTrue

from ..core.compat import TASKS_LOGGER
from .filters import passes_ends
from .output.streams import is_standard

#: Filters without a state. They can be asked at any time.
_STATELESS = (logging.Filter, RequireDebugFalse, RequireDebugTrue)

_logger = logging.getLogger(TASKS_LOGGER)  # noqa: TID251 - Django's own logger
_record = logging.LogRecord(
    TASKS_LOGGER, logging.INFO, __file__, 0, "Task id=%s path=%s state=%s", ("", "", "SUCCESSFUL"), None
)
_is_forced = False


class OwnHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """A console handler that django-loco has added to the project's handlers."""


_NOT_MEANT = (OwnHandler, logging.NullHandler)
_handle, _call_handlers = logging.Logger.handle, logging.Logger.callHandlers
_was_watched = any(getattr(one, "__globals__", None) is not vars(logging) for one in (_handle, _call_handlers))


def force_level(logger: logging.Logger) -> None:
    """Let ``INFO`` pass ``logger`` if the project has not set its level. The project's handlers keep their levels."""
    global _is_forced
    if logger.level == logging.NOTSET and not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
        _is_forced = _is_forced or logger is _logger


def refuse_tasks(record: logging.LogRecord) -> bool:
    """Refuse records about jobs that begin or end well: a filter for handlers of Django's default ``LOGGING``."""
    return record.name != TASKS_LOGGER or record.levelno != logging.INFO


def is_silenced() -> bool:
    """Whether the project has set a level for Django's records that hides jobs that begin or end well."""
    return _logger.level > logging.INFO


def hears_tasks() -> bool:
    """Whether anything but django-loco's console wants Django's records about jobs that begin or end well."""
    return _logger.isEnabledFor(logging.INFO) and (_is_watched() or bool(_listeners()))


def sees_tasks() -> bool:
    """Whether a handler of the project shows these records on the console."""
    return _logger.isEnabledFor(logging.INFO) and any(map(_shows_ends, _listeners()))


def is_on_console(handler: logging.Handler) -> bool:
    """Whether ``handler`` writes to stdout or stderr, itself or by handlers that it calls."""
    if isinstance(handler, logging.StreamHandler):
        return is_standard(handler.stream)
    console: Any = getattr(handler, "console", None)  # of Rich
    file = getattr(console, "file", None)
    return (file is not None and is_standard(file)) or any(map(is_on_console, _called_by(handler)))


def _called_by(handler: logging.Handler) -> Iterator[logging.Handler]:
    """Yield the handlers that get the records of ``handler``, as far as this is known."""
    listener: Any = getattr(handler, "listener", None)  # of a QueueHandler, from Python 3.12 on
    for each in (*getattr(listener, "handlers", ()), getattr(handler, "target", None)):
        if isinstance(each, logging.Handler):
            yield each


def handlers_of(logger: logging.Logger | None) -> list[logging.Handler]:
    """Return the handlers that get the records of ``logger``."""
    found = []
    while logger:
        found += logger.handlers
        logger = logger.parent if logger.propagate else None
    return found


def _is_watched() -> bool:
    """Whether a tool has replaced methods of ``logging`` to get all records, as the SDK of Sentry does."""
    return _was_watched or logging.Logger.callHandlers is not _call_handlers or logging.Logger.handle is not _handle


def _listeners() -> list[logging.Handler]:
    """Return the project's handlers that take these records at the level that the project has set."""
    if _is_forced:
        return []
    found = [each for each in handlers_of(_logger) if each.level <= logging.INFO and not isinstance(each, _NOT_MEANT)]
    return [handler for handler in found if not any(map(_refuses, handler.filters))] if found else found


def _refuses(each: Any) -> bool:
    """Whether a filter certainly refuses these records.

    Only stateless filters are asked, as no real record exists yet.
    """
    return each is refuse_tasks or (type(each) in _STATELESS and not each.filter(_record))


def _shows_ends(handler: logging.Handler) -> bool:
    """Whether ``handler`` is on the console, and its filters passed the last such record, if there was one."""
    return is_on_console(handler) and passes_ends(handler)
