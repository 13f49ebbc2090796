"""Keeps the components of a process running, each for itself: what one of them suffers touches no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..component import Component
from ..core.threads.bounded_calls import Calls
from ..log.bounded import get_bounded_logger
from ..process.health import report as health
from .restarter import PATIENCE, Part, State, Watch

__all__ = ["Part", "State", "Supervisor", "Watch"]

logger = get_bounded_logger("django_loco.supervisor")


class Supervisor(Component):
    """Starts, watches and stops several components, each in a ``Watch`` of its own."""

    name = "supervisor"

    def __init__(self, parts: Sequence[Part], on_drained: Callable[[], object] = lambda: None, **options: Any) -> None:
        """``parts`` in the order in which they are to take nothing new; ``options`` are those of ``Watch``.

        ``on_drained`` is called, in a thread, when all components that may end by themselves have done so.
        """
        self._on_drained = on_drained
        self._calls = Calls()
        self.watches = [Watch(part, self._ended, **options) for part in parts]

    def start(self) -> None:
        """Start all; one that cannot start is tried again later. From now on ``/_health`` tells of them."""
        health.watch(self)
        for watch in self.watches:
            watch.start()

    def quiet(self) -> None:
        """Let none take anything new."""
        self._tell("quiet")

    def stop(self, deadline: float) -> None:
        """Let all end side by side, at the latest at ``deadline`` (``time.monotonic()``, seconds)."""
        self._tell("stop", deadline)

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds, for all together; return whether all have ended."""
        until = None if timeout is None else time.monotonic() + timeout
        return all(watch.join(until and max(0.0, until - time.monotonic())) for watch in self.watches)

    @property
    def is_alive(self) -> bool:
        """Whether all components do their work."""
        return all(watch.state in (State.STARTING, State.RUNNING) for watch in self.watches)

    @property
    def components(self) -> tuple[Component, ...]:
        """What runs now."""
        return tuple(watch.component for watch in self.watches if watch.component)

    def health(self) -> dict[str, Any]:
        """Return ``alive`` and, for each part, its ``state``, its ``deaths`` in a row and its own health."""
        parts = {watch.part.name: watch.health() for watch in self.watches}
        return {"alive": self.is_alive, "components": parts}

    def _ended(self) -> None:
        ending = [watch for watch in self.watches if watch.part.may_end]
        if ending and all(watch.state is State.STOPPED for watch in ending):
            self._on_drained()

    def _tell(self, verb: str, *arguments: Any) -> None:
        """Tell each in turn; one that takes too long to listen does not keep it from the next."""
        for watch in self.watches:
            what, until = f"The {verb}() of the {watch.part.name}", time.monotonic() + PATIENCE
            call = self._calls.start(what, getattr(watch, verb), *arguments)
            if not self._calls.wait(call, until=partial(float, until)):
                logger.error("%s takes too long and is left behind", what)
