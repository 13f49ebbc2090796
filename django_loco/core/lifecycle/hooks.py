"""The registry of shutdown hooks. Users reach it as ``shutdown.before_server_shutdown`` and so on."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, overload

from django.conf import LazySettings

from ...component import Component
from ..validation import is_number, is_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The argument of a hook."""

    reason: str
    """Why the process ends, for a log: ``"SIGTERM"``, ``"the code has changed"``, ``"no job is left to run now"``."""

    signal: str | None
    """The name of the signal, if a signal asked for the end."""

    components: tuple[Component, ...]
    """The components of the process besides the server; ``health()`` returns their state."""

    settings: LazySettings
    """Django's."""

    until: Callable[[], float]

    @property
    def deadline(self) -> float:
        """When the hook must have ended (``time.monotonic()``, seconds). A second signal moves it to now."""
        return self.until()

    def remaining(self) -> float:
        """Return the seconds left until ``deadline``, 0 or more."""
        return max(0.0, self.until() - time.monotonic())


Hook = Callable[[Context], Any]
HookType = TypeVar("HookType", bound=Hook)


class Phase:
    """The hooks of one phase of the shutdown, and the decorator that adds one."""

    def __init__(self, name: str, share: float = 1.0) -> None:
        """``share``: the share of the remaining time for hooks without a ``timeout``, all together."""
        self.name = name
        self.share = share
        self._hooks: list[tuple[float, float, Hook]] = []

    @overload
    def __call__(self, function: HookType, /) -> HookType: ...
    @overload
    def __call__(
        self, function: None = None, /, *, order: float = 0, timeout: float | None = None
    ) -> Callable[[HookType], HookType]: ...
    def __call__(self, function: Any = None, /, *, order: float = 0, timeout: float | None = None) -> Any:
        """Add ``function``, sync or async, which takes the ``Context``.

        Hooks with a lower ``order`` run first. ``timeout`` is in seconds; the deadline applies as well. Without one
        (``None``), ``before_server_shutdown`` hooks share a quarter of the time, the others have until the deadline.
        Raises ``TypeError`` for a function that cannot be called with one argument, and for a wrong option.
        """
        add = partial(self._add, order=order, timeout=timeout)
        return add if function is None else add(function)

    def _add(self, function: HookType, *, order: float, timeout: float | None) -> HookType:
        try:
            inspect.signature(function).bind(object())
        except TypeError:
            raise TypeError(f"A {self.name} hook takes one argument, the context; {function!r} does not.") from None
        seconds = math.inf if timeout is None else timeout
        if seconds != math.inf and not is_seconds(seconds):
            raise TypeError(
                f"{self.name}(timeout={timeout!r:.100}): it must be a number of seconds above 0. Leave it out for the "
                "usual limit."
            )
        if not is_number(order):
            raise TypeError(f"{self.name}(order={order!r:.100}): it must be a number. Lower ones run first.")
        if function not in (hook for _, _, hook in self._hooks):
            self._hooks.append((order, seconds, function))
        return function

    def hooks(self) -> list[tuple[float, float, Hook]]:
        """Return ``(order, timeout, hook)`` of each hook, the first to run first."""
        return sorted(self._hooks, key=lambda entry: entry[0])

    def remove(self, function: Hook) -> None:
        """Remove a hook."""
        self._hooks = [entry for entry in self._hooks if entry[2] != function]
