"""A running call of a durable step, a sleep or a wait."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

from ..core.job.waits import Wait

_innermost: ContextVar[StepCall | None] = ContextVar("django_loco_step", default=None)


class StepCall:
    """A call from its beginning to its end: a ``with`` block.

    A call that has to sleep or wait is *parked* until no other call of the job is running. Then it ends the run. While
    it is parked, the steps whose functions made the call do not count as running either.
    """

    __slots__ = ("_before", "_outer", "_parked", "ended", "wait")

    def __init__(self) -> None:
        self.wait: Wait | None = None
        """The wait for which it has ended the run, or is about to."""

        self.ended: Future[None] = Future()
        """Done when it has ended."""

        self._outer = _innermost.get()
        self._parked = 0
        self._before: Token[StepCall | None] | None = None

    def __enter__(self) -> Self:
        self._before = _innermost.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._before is not None  # noqa: S101 - it was entered
        _innermost.reset(self._before)
        self.ended.set_result(None)

    @property
    def goes_on(self) -> bool:
        """Whether it may do something: it has not ended, and neither it nor a call in its function is parked."""
        return not (self._parked or self.ended.done())

    @contextmanager
    def parked(self) -> Iterator[None]:
        """Park it within the block."""
        calls = list(self._with_outer())
        for call in calls:
            call._parked += 1  # noqa: SLF001 - an object of the same class
        try:
            yield
        finally:
            for call in calls:
                call._parked -= 1  # noqa: SLF001

    def _with_outer(self) -> Iterator[StepCall]:
        call: StepCall | None = self
        while call is not None:
            yield call
            call = call._outer  # noqa: SLF001
