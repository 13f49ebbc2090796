"""Asks the filters of a handler whether they pass a record, before ``logging`` asks them.

A filter of the project may count records, or pass each message only once. So it has to see each record exactly once,
and only records that are really logged. Its answer is kept until ``logging`` asks the handler.
"""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakKeyDictionary

from ..core.compat import TASKS_LOGGER
from .output.bounded import HandlerThread


class FilteredOnce:
    """Replaces the method ``filter`` of a handler."""

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler
        self._filter = handler.filter
        self._answers: WeakKeyDictionary[logging.LogRecord, Any] = WeakKeyDictionary()
        self.passes_ends = True
        """Whether the filters passed Django's last record about a job that ended well."""

    def __call__(self, record: logging.LogRecord) -> Any:
        """Return, as ``logging`` expects, whether the record passes, or another record in its place."""
        answer = self.answer(record)
        taken = answer if isinstance(answer, logging.LogRecord) else record
        threads = [each for each in self._handler.filters if isinstance(each, HandlerThread)]
        return answer and all(thread.filter(taken) for thread in threads) and answer

    def answer(self, record: logging.LogRecord) -> Any:
        """Return the answer of the filters, which are asked only once.

        Does not give the record to the handler's thread.
        """
        if record not in self._answers:
            answer = self._ask(record)
            # From Python 3.12 on the answer may be the record itself. Its entry must not keep it alive.
            self._answers[record] = True if answer is record else answer
            if record.name == TASKS_LOGGER and record.levelno == logging.INFO and _is_end(record.args):
                self.passes_ends = bool(answer)
        return self._answers[record]

    def _ask(self, record: logging.LogRecord) -> Any:
        others = logging.Filterer()
        others.filters = [each for each in self._handler.filters if not isinstance(each, HandlerThread)]
        return (self._filter if len(others.filters) == len(self._handler.filters) else others.filter)(record)


def has_filters(handler: logging.Handler) -> bool:
    """Whether a handler may refuse a record for another reason than its level."""
    return any(not isinstance(each, HandlerThread) for each in handler.filters) or not _is_plain(handler)


def filter_once(handler: logging.Handler) -> FilteredOnce:
    """Let the filters of ``handler`` see each record once from now on."""
    found: Any = handler.filter
    if isinstance(found, FilteredOnce):
        return found
    new = vars(handler)["filter"] = FilteredOnce(handler)
    return new


def passes(handler: logging.Handler, record: logging.LogRecord) -> bool:
    """Whether the filters of ``handler`` pass ``record``, which may be logged later."""
    return not has_filters(handler) or bool(filter_once(handler).answer(record))


def passes_ends(handler: logging.Handler) -> bool:
    """Whether the filters of ``handler`` passed Django's last record about a job that ended well."""
    found: Any = handler.filter
    return found.passes_ends if isinstance(found, FilteredOnce) else True


def _is_end(args: Any) -> bool:
    return isinstance(args, tuple) and args[-1:] == ("SUCCESSFUL",)


def _is_plain(handler: logging.Handler) -> bool:
    return getattr(handler.filter, "__func__", None) is logging.Filterer.filter
