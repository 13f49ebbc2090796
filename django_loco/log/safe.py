"""Loggers that do not raise.

A filter or handler of the project may raise any exception, and ``logging`` passes it on to the caller. A log line must
not end a thread, a job or a restart. So every module of django-loco gets its logger here; the linter refuses
``logging.getLogger``.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import MutableMapping
from typing import Any

from ..exceptions import RAISED_INTO_JOBS

#: The errors shown on stderr so far: the name of the logger or handler, and the type of the error.
_shown: set[tuple[str, type[BaseException]]] = set()
_handler: logging.Handler | None = None


class SafeLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that drops a line that cannot be logged. Each type of error is shown on stderr once per logger."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Return both as they are."""
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line. All other methods call this one.

        Raises only exceptions that are meant for the caller: ``KeyboardInterrupt`` in the main thread, and exceptions
        that interrupt a job.
        """
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1  # the line shows the position of the caller
        try:
            super().log(level, msg, *args, **kwargs)
        except RAISED_INTO_JOBS:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise
            show_once(self.logger.name, error)


def show_once(name: str, error: BaseException) -> None:
    """Show on stderr the ``error`` that made a line of ``name`` drop, once for each name and type of error."""
    key = (name, type(error))
    if key not in _shown and logging.raiseExceptions:
        _shown.add(key)
        show(f"A log line of {name} was dropped:", error)


def show(text: str, error: BaseException | None = None) -> None:
    """Show trouble with the log on stderr, not by the project's handlers: they may be its cause."""
    try:
        if _handler is not None:
            error_info = (type(error), error, error.__traceback__) if error is not None else None
            _handler.handle(logging.LogRecord("django_loco.log", logging.WARNING, __file__, 0, text, (), error_info))
        elif sys.stderr is not None:
            print(text, file=sys.stderr)  # noqa: T201
            if error is not None:
                traceback.print_exception(error, file=sys.stderr)
    except RAISED_INTO_JOBS:
        raise
    except Exception:  # noqa: BLE001 - there is no other place to show it
        return


def show_with(handler: logging.Handler | None) -> None:
    """Let the console's ``handler`` show trouble with the log, as it does not block and formats like other lines."""
    global _handler
    _handler = handler


def get_logger(name: str) -> SafeLogger:
    """Return the logger ``name`` as one that does not raise."""
    return SafeLogger(logging.getLogger(name))  # noqa: TID251 - the only place
