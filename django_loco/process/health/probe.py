"""Asks a question, with a time limit: a database that hangs, for example, may never answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from django.db import connections

from ...core.threads import DaemonThread
from ...log.plain_text import shown

Answer = TypeVar("Answer")


class Probe(Generic[Answer]):
    """Asks one question in a daemon thread, and waits for the answer up to a time limit.

    1. ``ask`` starts the thread, unless one is already waiting for the answer. So a question that hangs takes only one
       thread, however often it is asked.
    2. All callers that ask meanwhile get the same answer, which stays valid for ``fresh`` seconds more.
    """

    def __init__(
        self, question: Callable[[], Answer], *, fresh: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._question, self._fresh, self._clock = question, fresh, clock
        self._lock = threading.Lock()
        self._answer: Future[Answer] | None = None
        self._asked_at = self._answered_at = 0.0

    def begin(self) -> Future[Answer]:
        """Return a future for the answer. Ask, unless the question is being asked or the last answer is still valid."""
        with self._lock:
            if self._answer is None or (self._answer.done() and self._clock() >= self._answered_at + self._fresh):
                self._asked_at = self._clock()
                self._answer = Future()
                thread = DaemonThread(target=self._ask, args=(self._answer,), name="loco-probe")
                try:
                    thread.start()
                except Exception as error:  # noqa: BLE001 - for example, no more threads; the next caller asks again
                    self._answer.set_exception(error.with_traceback(None))
            return self._answer

    def ask(self, timeout: float) -> Answer:
        """Return the answer, or raise the question's exception.

        Raises ``TimeoutError`` if there is no answer within ``timeout`` seconds after the first caller asked.
        """
        answer = self.begin()
        try:
            return answer.result(max(0.0, self._asked_at + timeout - self._clock()))
        except TimeoutError:
            if answer.done():
                raise
            raise TimeoutError(f"no answer for {self._clock() - self._asked_at:.1f} s") from None

    def _ask(self, answer: Future[Answer]) -> None:
        try:
            try:
                found = self._question()
            finally:
                self._answered_at = self._clock()
                connections.close_all()
        except BaseException as error:  # noqa: BLE001 (raised in the threads that wait for the answer)
            error = error if isinstance(error, Exception) else RuntimeError(shown(error))
            answer.set_exception(error.with_traceback(None))
        else:
            answer.set_result(found)
