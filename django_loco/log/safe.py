"""Loggers that do not raise.

A filter or handler of the project may raise any exception, which ``logging`` passes on to the caller. A log line must
not end a thread, a job or a restart. So every module of django-loco gets its logger here; the linter refuses
``logging.getLogger``.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

from ..exceptions import JobTimeout

#: The errors shown on stderr so far: the name of the logger and the type of the error.
_shown: set[tuple[str, type[BaseException]]] = set()


class SafeLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that drops a line that cannot be logged. Each type of error is shown on stderr once per logger."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Return both as they are."""
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line. All other methods call this one.

        Raises only exceptions that are not meant for it: ``KeyboardInterrupt`` in the main thread, and ``JobTimeout``.
        """
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1  # the position in the code is that of the caller
        try:
            super().log(level, msg, *args, **kwargs)
        except JobTimeout:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise
            self._show(error)

    def _show(self, error: BaseException) -> None:
        key = (self.logger.name, type(error))
        if key in _shown or not logging.raiseExceptions or sys.stderr is None:
            return
        _shown.add(key)
        with suppress(Exception):  # there is no other place to show the error
            print(f"A log line of {self.logger.name} was dropped:", file=sys.stderr)  # noqa: T201
            traceback.print_exception(error, file=sys.stderr)


def get_logger(name: str) -> SafeLogger:
    """Return the logger ``name`` as one that does not raise."""
    return SafeLogger(logging.getLogger(name))  # noqa: TID251 - here alone
