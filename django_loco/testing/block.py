"""A context manager that can also decorate test functions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from types import TracebackType
from typing import Any, Generic, TypeVar

from ..core.validation import short
from ..exceptions import LocoConfigurationError

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Block(AbstractContextManager[T], Generic[T]):
    """A block of code in a test: ``with travel(...)``, or a function decorated with ``@travel(...)``, sync or async.

    With ``contextlib.ContextDecorator`` the block would end before the body of an async function runs.
    """

    def __init__(self, name: str, make: Callable[[], AbstractContextManager[T]]) -> None:
        """``make`` returns a new context manager each time the block is entered. ``name`` is for errors."""
        self._name = name
        self._make = make
        self._entered: list[AbstractContextManager[T]] = []

    def __enter__(self) -> T:
        context = self._make()
        value = context.__enter__()
        self._entered.append(context)
        return value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._entered.pop().__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        """Return ``function`` with the block around each call.

        Raises ``LocoConfigurationError`` for a class, and for a generator, because none of its code would run in the
        block.
        """
        if isinstance(function, type):
            raise LocoConfigurationError(
                f"{self._name}() decorates functions, and {short(function)} is a class. Write "
                f"self.enterContext({self._name}(...)) in its setUp(), or decorate its tests."
            )
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            raise LocoConfigurationError(
                f"{self._name}() cannot decorate {short(function)}, because it is a generator. Write "
                f"with {self._name}(...): in it."
            )

        @wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self._make():
                return function(*args, **kwargs)

        @wraps(function)
        async def ainside(*args: Any, **kwargs: Any) -> Any:
            with self._make():
                return await function(*args, **kwargs)

        return ainside if iscoroutinefunction(function) else inside  # type: ignore[return-value]
