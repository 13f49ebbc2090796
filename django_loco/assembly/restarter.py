"""Keeps one component running: starts it, looks at it, and starts it again when it has died."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from ..component import Component
from ..core.backoff import Backoff
from ..core.threads import DaemonThread
from ..core.threads.bounded_calls import BoundedCalls
from ..exceptions import LocoConfigurationError
from ..log.labels import bind, unbind
from ..log.safe import get_logger
from ..process.health.probe import Probe

#: Seconds between two looks at whether a component is alive.
LOOK_EVERY = 0.5
#: Seconds between two starts of a component that dies again and again, at first and at most.
FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 1.0, 30.0
#: Seconds that a component has to live for its earlier deaths to be forgotten.
SETTLED = 60.0
#: Seconds for a dead component to let go of what it held, before its successor starts.
CLEAR_UP = 5.0
#: Deaths in a row after which a component counts as failed until it has settled, however often it starts.
KEEPS_DYING = 3
#: Seconds for a component to take in what it is told (``quiet``, ``stop``), and to say how it fares.
PATIENCE = 1.0

logger = get_logger("django_loco.supervisor")


class State(StrEnum):
    """Where a component is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    QUIET = "quiet"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    """It could not start, or has died, and is about to be started again; or has not settled since it kept dying."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a supervisor is to keep running."""

    name: str
    make: Callable[[], Component]
    """Called for each start, as a component runs only once."""

    may_end: bool = False
    """Whether it ends by itself when its work is done (``--drain``), and is not started again then."""


class Restarter:
    """Keeps one component running, from a thread of its own.

    1. Makes and starts the component.
    2. Looks at it twice a second. If it has died, or could not start, back to 1 after a pause.
    3. Ends when the component was told to stop and has, or has ended as it may.

    Nothing that a component does, be it to raise, to hang or to call ``sys.exit``, goes further than this thread.
    """

    def __init__(
        self,
        part: Part,
        on_end: Callable[[], None] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        first_delay: float = FIRST_DELAY_SECONDS,
        look_every: float = LOOK_EVERY,
    ) -> None:
        """``on_end`` is called, in the thread, when the component has ended for good."""
        self.part = part
        self.component: Component | None = None
        self._problem = self._problem_class = ""
        self._on_end, self._clock, self._look_every = on_end, clock, look_every
        self._backoff = Backoff(first_delay, MAX_DELAY_SECONDS, clock=clock)
        self._phase = State.STARTING
        self._began = clock()
        self._calls = BoundedCalls(clock)
        self._health = Probe(self._ask_health)
        self._deadline: float | None = None
        self._no_more_starts, self._told_to_stop = threading.Event(), threading.Event()
        self._thread = DaemonThread(target=self._run, name=f"loco-watch {part.name}")

    @property
    def deaths(self) -> int:
        """How often it died in a row without settling in between."""
        return self._backoff.failures

    @property
    def state(self) -> State:
        """Where the component is in its life."""
        if self._phase is State.STOPPED:
            return self._phase
        if self._told_to_stop.is_set():
            return State.STOPPING
        if self._no_more_starts.is_set():
            return State.QUIET
        return State.FAILED if self.deaths >= KEEPS_DYING and not self._has_settled else self._phase

    @property
    def _has_settled(self) -> bool:
        return self._phase is State.RUNNING and self._clock() - self._began > SETTLED

    def health(self) -> dict[str, Any]:
        """Return ``state``, ``deaths`` in a row, the class of the last ``problem``, and what the component says.

        One that does not answer, or raises, is ``stuck``. The text of an error is for the log: it may tell secrets.
        """
        try:
            own = self._health.ask(PATIENCE)
        except Exception as error:  # noqa: BLE001 (it is a component's, and may raise anything)
            own = {"alive": False, "stuck": True, "trouble": type(error).__name__}
        return own | {"state": str(self.state), "deaths": self.deaths, "problem": self._problem_class}

    def _ask_health(self) -> dict[str, Any]:
        return dict(self.component.health()) if self.component else {"alive": False}

    def start(self) -> None:
        """Begin with 1; a second start does nothing."""
        if self._thread.ident is None:
            self._thread.start()

    def quiet(self) -> None:
        """Make the component take nothing new; if it dies now, it is not started again."""
        self._no_more_starts.set()
        self._pass_on()

    def stop(self, deadline: float) -> None:
        """Let the component end, at the latest at ``deadline`` (``time.monotonic()``, seconds)."""
        self._deadline = deadline
        self._no_more_starts.set()
        self._told_to_stop.set()
        self._pass_on()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the end; return whether it has come."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._no_more_starts.is_set():
            self._began = self._clock()
            if Context().run(self._live):  # nothing of a component that died is left for its successor
                break
            if self._clock() - self._began > SETTLED:
                self._backoff.succeeded()
            seconds = self._backoff.failed()
            self._phase = State.FAILED
            self._pause(seconds)
        self._phase = State.STOPPED
        self._on_end()

    def _live(self) -> bool:
        """Go through one component's life; return whether it came to a good end."""
        self.component = None
        try:
            self.component = self._started()
            self._phase = State.RUNNING
            self._pass_on()
            return self._watch(self.component)
        except BaseException as error:  # noqa: BLE001 (it is logged)
            self._bury("failed", error)
            return False

    def _started(self) -> Component:
        token = bind(component=self.part.name)
        try:
            self.component = component = self.part.make()
            component.start()
            return component
        finally:
            unbind(token)

    def _watch(self, component: Component) -> bool:
        while not self._told_to_stop.wait(self._look_every):
            # In this order: what ends because it was told to stop between the two questions has not died.
            if not component.is_alive and not self._told_to_stop.is_set():
                return self._has_ended_well(component)
        component.join()
        if component.error:
            self._log("ended with an error", component.error)
        return True

    def _has_ended_well(self, component: Component) -> bool:
        if self.part.may_end and component.join(CLEAR_UP):
            return True
        self._bury("has died", component.error)
        return False

    def _bury(self, how: str, error: BaseException | None) -> None:
        """Tell of a component that has died and clear up after it; whatever fails there, it is started again."""
        for step in (partial(self._log, how, error), self._clear_up):
            try:
                step()
            except BaseException:
                logger.exception("The death of the %s could not be dealt with", self.part.name)

    def _log(self, how: str, error: BaseException | None) -> None:
        """Log an error; without its traceback if it is repeated or is a configuration error."""
        is_plain = isinstance(error, LocoConfigurationError)
        problem = (str(error) if is_plain else repr(error)) if error else "died"
        news = None if is_plain or problem == self._problem else error
        self._problem, self._problem_class = problem, type(error).__name__ if error else problem
        logger.error("The %s %s%s", self.part.name, how, f": {problem}" if error else "", exc_info=news)

    def _clear_up(self) -> None:
        """Let a component that died, or started only in part, let go of what it holds."""
        component = self.component
        if component is None:
            return

        def end() -> None:
            component.stop(self._clock())
            component.join(CLEAR_UP)

        until = self._clock() + CLEAR_UP
        if not self._calls.wait(self._calls.start(f"Stopping the {self.part.name}", end), until=lambda: until):
            logger.error("The %s that died cannot be stopped and is left behind", self.part.name)

    def _pass_on(self) -> None:
        """Pass ``quiet`` and ``stop`` on to the running component, also those that came before it started."""
        component = self.component
        if component is None or self._phase is not State.RUNNING:
            return
        try:
            if self._no_more_starts.is_set():
                component.quiet()
        finally:
            if self._deadline is not None:
                component.stop(self._deadline)

    def _pause(self, seconds: float) -> None:
        if not self._no_more_starts.is_set():
            logger.warning("The %s is started again in %.1f s", self.part.name, seconds)
            self._no_more_starts.wait(seconds)
