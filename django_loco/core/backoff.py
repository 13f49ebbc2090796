"""Exponential back-off: the growing pauses between the tries of something that fails."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ..exceptions import QueueUnavailable
from ..log.plain_text import counted
from ..log.safe import SafeLogger
from .threads import NoThread


def exponential_delay(
    failures: int,
    *,
    first: float,
    longest: float,
    spread: float = 0.25,
    jitter: Callable[[], float] = random.random,
) -> float:
    """Return the seconds to wait after ``failures`` failures in a row: ``first``, doubled each time, up to ``longest``.

    The delay is made up to ``spread`` (a share of it) shorter or longer by ``jitter``, a number from 0 to 1. So
    clients that lost one server do not all come back at the same moment; see "Exponential Backoff And Jitter" of the
    AWS Architecture Blog, 2015.
    """
    return min(longest, first * 2.0 ** min(failures - 1, 32)) * (1 - spread + 2 * spread * jitter())


class Backoff:
    """Counts failures in a row and says when to try again. For one thread."""

    def __init__(
        self,
        first: float,
        longest: float,
        *,
        spread: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """``first`` and ``longest`` are seconds; for ``spread`` and ``jitter`` see ``exponential_delay``."""
        self.failures = 0
        """The number of failures since the last success."""
        self.retry_at = -math.inf
        """The time of the next try, by ``clock``."""
        self._first, self._longest, self._spread = first, longest, spread
        self._clock, self._jitter = clock, jitter

    def failed(self, error: BaseException | None = None) -> float:  # noqa: ARG002 - for subclasses
        """Count a failure and return the seconds until the next try."""
        self.failures += 1
        delay = exponential_delay(
            self.failures, first=self._first, longest=self._longest, spread=self._spread, jitter=self._jitter
        )
        self.retry_at = self._clock() + delay
        return delay

    def succeeded(self) -> None:
        """Reset the count: the next failure is the first."""
        self.failures = 0
        self.retry_at = -math.inf

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next try."""
        return self._clock() >= self.retry_at


class LoggedBackoff(Backoff):
    """A ``Backoff`` that logs the first failure of each type in a row, and the success that ends it.

    Several threads may fail because one queue is unavailable. After ``log_as_one``, the first of them logs an error.
    The others log at ``INFO``, and leave out a cause that is in the log already.
    """

    def __init__(self, logger: SafeLogger, subject: str, duty: str, *delays: float, **options: Any) -> None:
        """``subject`` and ``duty`` are for the log: ``"The worker"`` cannot ``"renew its claims"``.

        ``delays`` and ``options`` are the arguments of ``Backoff``, with a ``spread`` of 0.5 by default.
        """
        super().__init__(*delays, **{"spread": 0.5} | options)
        self.reason = ""
        """The error of the last try, as text; empty after a success."""
        self._logger, self._subject, self._duty = logger, subject, duty
        self._unavailable = _Unavailable()
        self._logged: set[type] = set()
        """The types of the errors that were logged since the last success."""

    def failed(self, error: BaseException | None = None) -> float:
        """Count ``error`` as a failure and return the seconds until the next try."""
        if type(error) not in self._logged:
            self._logged.add(type(error))
            self._log(error)
        self.reason = f"{type(error).__name__}: {error}"
        return super().failed(error)

    def succeeded(self) -> None:
        """Reset the count, and log the success if it ends a row of failures."""
        if self.failures:
            self._logger.info(
                "%s can %s again, after %s", self._subject, self._duty, counted(self.failures, "try", "tries")
            )
            self.reason = ""
            self._logged.clear()
            self._unavailable.discard(self)
            super().succeeded()

    def _log(self, error: BaseException | None) -> None:
        level, traceback, cause = logging.ERROR, error, str(error)
        if isinstance(error, QueueUnavailable):
            is_first, is_known = self._unavailable.add(self, cause)
            level, traceback = logging.ERROR if is_first else logging.INFO, None
            cause = "the same error" if is_known else cause
        else:
            self._unavailable.discard(self)  # the next outage is a new one
            if isinstance(error, NoThread):
                traceback = None  # the message has the remedy
        self._logger.log(level, "%s cannot %s for now: %s", self._subject, self._duty, cause, exc_info=traceback)


class _Unavailable:
    """The back-offs that fail because the queue is unavailable. Used by several threads."""

    def __init__(self) -> None:
        self._failing: set[LoggedBackoff] = set()
        self._causes: set[str] = set()
        self._lock = threading.Lock()

    def add(self, backoff: LoggedBackoff, cause: str) -> tuple[bool, bool]:
        """Add ``backoff``; return whether it is the only one, and whether ``cause`` is known from this outage."""
        with self._lock:
            self._failing.add(backoff)
            is_known = cause in self._causes
            self._causes.add(cause)
            return len(self._failing) == 1, is_known

    def discard(self, backoff: LoggedBackoff) -> None:
        with self._lock:
            self._failing.discard(backoff)
            if not self._failing:
                self._causes.clear()


def log_as_one(backoffs: Iterable[LoggedBackoff]) -> None:
    """Log only one error when the queue of all ``backoffs`` is unavailable."""
    shared = _Unavailable()
    for backoff in backoffs:
        backoff._unavailable = shared  # noqa: SLF001 - of this module
