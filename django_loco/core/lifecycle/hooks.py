"""The hooks of a shutdown. Users reach them as ``shutdown.before_server_shutdown`` and so on."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a hook is told."""

    reason: str
    """Why the process ends: ``"SIGTERM"``, ``"code reload"``, ``"drained"`` and so on."""

    signal: str | None
    """The name of the signal, if it was one."""

    components: tuple[Component, ...]
    """What runs in the process beside the server; ``health()`` tells how it fares."""

    settings: LazySettings
    """Django's."""

    until: Callable[[], float]

    @property
    def deadline(self) -> float:
        """When the hook has to be done (``time.monotonic()``, seconds). A second signal moves it to now."""
        return self.until()

    def remaining(self) -> float:
        """Return the seconds left until ``deadline``, 0 or more."""
        return max(0.0, self.until() - time.monotonic())


Hook = Callable[[Context], Any]
HookType = TypeVar("HookType", bound=Hook)


class Phase:
    """A decorator that adds a hook; the hooks of one part of the shutdown."""

    def __init__(self, name: str, share: float = 1.0) -> None:
        """``share``: the part of the time left that hooks without a ``timeout`` have, all together."""
        self.name = name
        self.share = share
        self._hooks: list[tuple[int, float, Hook]] = []

    @overload
    def __call__(self, function: HookType, /) -> HookType: ...
    @overload
    def __call__(
        self, function: None = None, /, *, order: int = 0, timeout: float = math.inf
    ) -> Callable[[HookType], HookType]: ...
    def __call__(self, function: Any = None, /, *, order: int = 0, timeout: float = math.inf) -> Any:
        """Add ``function``, sync or async, which takes the ``Context``.

        Lower ``order`` runs first. ``timeout`` is in seconds; whatever it is, the deadline holds as well.
        Without it, ``before_server_shutdown`` hooks have a quarter of the time together, the others up to the deadline.
        Raises ``TypeError`` for a function that cannot be called with one argument.
        """
        add = partial(self._add, order=order, timeout=timeout)
        return add if function is None else add(function)

    def _add(self, function: HookType, *, order: int, timeout: float) -> HookType:
        try:
            inspect.signature(function).bind(object())
        except TypeError:
            raise TypeError(f"A {self.name} hook takes one argument, the context; {function!r} does not.") from None
        if function not in (hook for _, _, hook in self._hooks):
            self._hooks.append((order, timeout, function))
        return function

    def hooks(self) -> list[tuple[int, float, Hook]]:
        """Return ``(order, timeout, hook)`` of each, in the order in which they run."""
        return sorted(self._hooks, key=lambda entry: entry[0])

    def remove(self, function: Hook) -> None:
        """Take a hook back."""
        self._hooks = [entry for entry in self._hooks if entry[2] != function]
