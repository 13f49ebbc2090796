"""Asks a question that may never be answered (by a database that hangs, for example), with a time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, NoReturn, TypeVar

from django.db import connections

from ...core.threads import DaemonThread

Answer = TypeVar("Answer")


class Probe(Generic[Answer]):
    """Asks one question in a daemon thread, and waits for the answer up to a time limit.

    1. ``ask`` starts the thread, unless one is waiting for the answer already: a question that hangs costs one thread,
       however often it is asked.
    2. All callers that ask meanwhile get the same answer, which stays valid for ``fresh`` seconds more.
    """

    def __init__(
        self, question: Callable[[], Answer], *, fresh: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._question, self._fresh, self._clock = question, fresh, clock
        self._news = threading.Condition()
        self._answers = 0
        self._asked_at = self._answered_at = 0.0
        self._is_asking = False
        self._answer: Callable[[], Answer] = _not_asked

    def begin(self) -> None:
        """Ask, unless the question is being asked or the last answer is still valid."""
        with self._news:
            if self._is_old:
                self._ask_once()

    def ask(self, timeout: float) -> Answer:
        """Return the answer, or raise the question's exception.

        Raises ``TimeoutError`` if there is no answer ``timeout`` seconds after the question was asked, by any caller.
        """
        with self._news:
            if self._is_old:
                self._ask_once()
                self._await(timeout)
            return self._answer()

    @property
    def _is_old(self) -> bool:
        return not self._answers or self._is_asking or self._clock() >= self._answered_at + self._fresh

    def _ask_once(self) -> None:
        if not self._is_asking:
            self._is_asking, self._asked_at = True, self._clock()
            DaemonThread(target=self._ask, name="loco-probe").start()

    def _await(self, timeout: float) -> None:
        before = self._answers
        rest = max(0.0, self._asked_at + timeout - self._clock())
        if not self._news.wait_for(lambda: self._answers > before, rest):
            raise TimeoutError(f"no answer for {self._clock() - self._asked_at:.1f} s")

    def _ask(self) -> None:
        answer = _attempt(self._question)
        try:
            connections.close_all()
        finally:
            with self._news:
                self._answer, self._answered_at = answer, self._clock()
                self._answers += 1
                self._is_asking = False
                self._news.notify_all()


def _attempt(question: Callable[[], Answer]) -> Callable[[], Answer]:
    """Return a function that returns the answer, or raises the exception."""
    try:
        answer = question()
    except BaseException as error:  # noqa: BLE001 (raised in the thread that waits for the answer)
        return _Raises(error)
    return lambda: answer


class _Raises:
    def __init__(self, error: BaseException) -> None:
        self._error = error if isinstance(error, Exception) else RuntimeError(repr(error))

    def __call__(self) -> NoReturn:
        raise self._error.with_traceback(None)


def _not_asked() -> NoReturn:
    raise RuntimeError("The question was not asked yet.")
