"""Keeps the components of a process running. A failure of one component does not affect the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..component import Component
from ..core.threads.bounded_calls import BoundedCalls
from ..log.bounded import get_bounded_logger
from ..process.health.report import report_on
from ..shutdown import Shutdown
from ..worker import in_process
from .restarter import PATIENCE, Part, Restarter, State

__all__ = ["Part", "Restarter", "State", "Supervisor"]

logger = get_bounded_logger("django_loco.supervisor")


class Supervisor(Component):
    """Starts, watches and stops several components, each in a ``Restarter`` of its own."""

    name = "supervisor"

    def __init__(self, parts: Sequence[Part], on_drained: Callable[[], object] = lambda: None, **options: Any) -> None:
        """``parts`` in the order in which they are to take nothing new; ``options`` are those of ``Restarter``.

        ``on_drained`` is called, in a thread, when all components that may end by themselves have done so.
        """
        self._on_drained = on_drained
        self._calls = BoundedCalls()
        self.restarters = [Restarter(part, self._ended, **options) for part in parts]

    def start(self) -> None:
        """Start all; one that cannot start is tried again later. From now on ``/_health`` tells of them."""
        report_on(self)
        for restarter in self.restarters:
            restarter.start()

    def quiet(self) -> None:
        """Let none take anything new."""
        self._tell("quiet")

    def stop(self, deadline: float) -> None:
        """Let all end side by side, at the latest at ``deadline`` (``time.monotonic()``, seconds)."""
        self._tell("stop", deadline)

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds, for all together; return whether all have ended."""
        until = None if timeout is None else time.monotonic() + timeout
        return all(restarter.join(until and max(0.0, until - time.monotonic())) for restarter in self.restarters)

    @property
    def is_alive(self) -> bool:
        """Whether all components do their work."""
        return all(restarter.state in (State.STARTING, State.RUNNING) for restarter in self.restarters)

    @property
    def components(self) -> tuple[Component, ...]:
        """The running components."""
        return tuple(restarter.component for restarter in self.restarters if restarter.component)

    def shut_down(self, shutdown: Shutdown, server: Component) -> int:
        """Run ``shutdown`` for the components and ``server``; return the exit code."""

        def finish() -> None:
            in_process.stop(time.monotonic())  # keeps the jobs that wait in memory for the next process

        return shutdown.run(self, server, components=self.components, finish=finish)

    def health(self) -> dict[str, Any]:
        """Return ``alive`` and, for each part, its ``state``, its ``deaths`` in a row and its own health."""
        parts = {restarter.part.name: restarter.health() for restarter in self.restarters}
        return {"alive": self.is_alive, "components": parts}

    def _ended(self) -> None:
        ending = [restarter for restarter in self.restarters if restarter.part.may_end]
        if ending and all(restarter.state is State.STOPPED for restarter in ending):
            self._on_drained()

    def _tell(self, verb: str, *arguments: Any) -> None:
        """Tell each in turn; one that takes too long to listen does not keep it from the next."""
        for restarter in self.restarters:
            what, until = f"The {verb}() of the {restarter.part.name}", time.monotonic() + PATIENCE
            call = self._calls.start(what, getattr(restarter, verb), *arguments)
            if not self._calls.wait(call, until=partial(float, until)):
                logger.error("%s took too long and was abandoned", what)
