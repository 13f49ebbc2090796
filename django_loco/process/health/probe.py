"""Questions to what may never answer: a database that hangs, a component of which nothing is known."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, NoReturn, TypeVar

from django.db import connections

from ...core.threads import DaemonThread

Answer = TypeVar("Answer")


class Probe(Generic[Answer]):
    """Puts one question, in a daemon thread, and waits for its answer only so long.

    1. ``ask`` begins to put the question, unless somebody has and it is not answered yet: what hangs costs one
       thread, however often it is asked for.
    2. All who ask meanwhile get the same answer. It is good for ``fresh`` seconds more.
    """

    def __init__(
        self, question: Callable[[], Answer], *, fresh: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._question, self._fresh, self._clock = question, fresh, clock
        self._news = threading.Condition()
        self._answers = 0
        self._asked_at = self._answered_at = 0.0
        self._is_asking = False
        self._answer: Callable[[], Answer] = _none_yet

    def begin(self) -> None:
        """Put the question, unless somebody has or its answer is still good."""
        with self._news:
            if self._is_old:
                self._put_once()

    def ask(self, patience: float) -> Answer:
        """Return the answer, or raise what the question raised.

        Raises ``TimeoutError`` if there is none ``patience`` seconds after the question was put, by whomever.
        """
        with self._news:
            if self._is_old:
                self._put_once()
                self._await(patience)
            return self._answer()

    @property
    def _is_old(self) -> bool:
        return not self._answers or self._is_asking or self._clock() >= self._answered_at + self._fresh

    def _put_once(self) -> None:
        if not self._is_asking:
            self._is_asking, self._asked_at = True, self._clock()
            DaemonThread(target=self._put, name="loco-probe").start()

    def _await(self, patience: float) -> None:
        before = self._answers
        rest = max(0.0, self._asked_at + patience - self._clock())
        if not self._news.wait_for(lambda: self._answers > before, rest):
            raise TimeoutError(f"no answer for {self._clock() - self._asked_at:.1f} s")

    def _put(self) -> None:
        answer = _tried(self._question)
        try:
            connections.close_all()
        finally:
            with self._news:
                self._answer, self._answered_at = answer, self._clock()
                self._answers += 1
                self._is_asking = False
                self._news.notify_all()


def _tried(question: Callable[[], Answer]) -> Callable[[], Answer]:
    """Return what returns the answer, or raises what came instead."""
    try:
        answer = question()
    except BaseException as error:  # noqa: BLE001 (raised where the answer is awaited)
        return _Raises(error)
    return lambda: answer


class _Raises:
    def __init__(self, error: BaseException) -> None:
        self._error = error if isinstance(error, Exception) else RuntimeError(repr(error))

    def __call__(self) -> NoReturn:
        raise self._error.with_traceback(None)


def _none_yet() -> NoReturn:
    raise RuntimeError("nothing has been asked yet")
