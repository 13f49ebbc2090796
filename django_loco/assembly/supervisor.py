"""Keeps the components of a process running. A failure of one component does not affect the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..component import Component
from ..core.threads.bounded_calls import BoundedCalls
from ..log.output.bounded import get_bounded_logger
from ..process.health.report import report_on
from ..shutdown import Shutdown
from ..worker import in_process
from .supervised_component import CALL_SECONDS, ComponentSpec, State, SupervisedComponent

logger = get_bounded_logger("django_loco.supervisor")


class Supervisor(Component):
    """Starts, watches and stops several components, each as a ``SupervisedComponent``."""

    name = "supervisor"

    def __init__(
        self,
        specs: Sequence[ComponentSpec],
        on_drained: Callable[[], object] = lambda: None,
        on_one_ended: Callable[[], object] = lambda: None,
        **options: Any,
    ) -> None:
        """``specs``: in the order of the shutdown; ``options``: the options of ``SupervisedComponent``.

        ``on_drained`` is called, in a thread, when all components that may end have ended, and ``on_one_ended`` when
        one of them has ended and others have not.
        """
        self._on_drained, self._on_one_ended = on_drained, on_one_ended
        self._calls = BoundedCalls()
        self.supervised = [SupervisedComponent(spec, self._ended, **options) for spec in specs]

    def start(self) -> None:
        """Start all components, and retry later if one cannot start. From now on ``/_health`` reports on them."""
        report_on(self)
        for each in self.supervised:
            each.start()

    def quiet(self) -> None:
        """Make all components take no more work."""
        self._call_each("quiet")

    def retire(self) -> None:
        """Make the components that ``may_end`` finish the work that has begun and then end."""
        for each in self._that_may_end():
            each.retire()

    def stop(self, deadline: float) -> None:
        """Make all components end side by side, by ``deadline`` (``time.monotonic()``, seconds) at the latest."""
        self._call_each("stop", deadline)

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds in total; return whether all have ended."""
        until = None if timeout is None else time.monotonic() + timeout
        return all(each.join(until and max(0.0, until - time.monotonic())) for each in self.supervised)

    @property
    def is_alive(self) -> bool:
        """Whether all components are running or starting."""
        return all(each.state in (State.STARTING, State.RUNNING) for each in self.supervised)

    @property
    def components(self) -> tuple[Component, ...]:
        """The running components."""
        return tuple(each.component for each in self.supervised if each.component)

    def shut_down(self, shutdown: Shutdown, server: Component) -> int:
        """Run ``shutdown`` for the components and ``server``; return the exit code."""

        def finish() -> None:
            in_process.stop(time.monotonic())  # keeps the jobs that wait in memory for the next process

        return shutdown.run(self, server, components=self.components, finish=finish)

    def health(self) -> dict[str, Any]:
        """Return ``alive`` and, for each component, its ``state``, its ``deaths`` in a row and its own health."""
        components = {each.spec.name: each.health() for each in self.supervised}
        return {"alive": self.is_alive, "components": components}

    def _ended(self) -> None:
        ended = [each.state is State.STOPPED for each in self._that_may_end()]
        if ended and all(ended):
            self._on_drained()
        elif any(ended):
            self._on_one_ended()

    def _that_may_end(self) -> list[SupervisedComponent]:
        return [each for each in self.supervised if each.spec.may_end]

    def _call_each(self, verb: str, *arguments: Any) -> None:
        """Call a method of each component in turn. A slow call delays the next one only for a moment."""
        for each in self.supervised:
            what, until = f"The {verb}() of the {each.spec.name}", time.monotonic() + CALL_SECONDS
            call = self._calls.start(what, getattr(each, verb), *arguments)
            if not self._calls.wait(call, until=partial(float, until)):
                logger.error("%s took too long and was abandoned", what)
