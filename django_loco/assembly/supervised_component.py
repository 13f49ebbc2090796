"""Keeps one component running: starts it, checks it, and restarts it when it has died."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from django.db import connections

from ..component import Component
from ..core.backoff import Backoff
from ..core.threads import DaemonThread
from ..core.threads.bounded_calls import BoundedCalls
from ..core.threads.stray_forks import ForksEndHere
from ..exceptions import LocoConfigurationError
from ..log.labels import bind, unbind
from ..log.safe import get_logger
from ..process.health.probe import Probe

#: Seconds between two checks for whether a component is alive.
CHECK_SECONDS = 0.5
#: Seconds between two starts of a component that keeps dying, at first and at most.
FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 1.0, 30.0
#: A component that lives for this many seconds has *settled*: its earlier deaths no longer count.
SETTLED_SECONDS = 60.0
#: Seconds that a dead component has to release its resources before its successor starts.
CLEANUP_SECONDS = 5.0
#: After this many deaths in a row, a component counts as failed until it has settled, even while it runs.
FAILED_AFTER_DEATHS = 3
#: Seconds that a component may take to return from ``quiet``, ``stop`` and ``health``.
CALL_SECONDS = 1.0

logger = get_logger("django_loco.supervisor")


class State(StrEnum):
    """The states of a component."""

    STARTING = "starting"
    RUNNING = "running"
    QUIET = "quiet"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    """It could not start or has died, and will be restarted; or it has not settled after several deaths."""


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """A component that a supervisor keeps running: its name, and how to make it."""

    name: str
    make: Callable[[], Component]
    """Called for each start, because a component runs only once."""

    may_end: bool = False
    """Whether it may end when its work is done (``--drain``); then it is not started again."""


class SupervisedComponent:
    """Keeps one component running, from its own thread.

    1. Makes and starts the component.
    2. Checks every ``check_every`` seconds whether it is alive. If it has died or could not start, goes back to 1 after
       a pause.
    3. Ends when the component was told to stop and has ended, or when it has ended by itself and ``may_end``.

    A component that raises, hangs or calls ``sys.exit`` affects only this thread.
    """

    def __init__(
        self,
        spec: ComponentSpec,
        on_end: Callable[[], None] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        first_delay: float = FIRST_DELAY_SECONDS,
        check_every: float = CHECK_SECONDS,
    ) -> None:
        """``on_end`` is called, in the thread, when the component has ended for good."""
        self.spec = spec
        self.component: Component | None = None
        self._problem = self._problem_class = ""
        self._on_end, self._clock, self._check_every = on_end, clock, check_every
        self._backoff = Backoff(first_delay, MAX_DELAY_SECONDS, clock=clock)
        self._phase = State.STARTING
        self._began = clock()
        self._calls = BoundedCalls(clock)
        self._health = Probe(self._ask_health)
        self._deadline: float | None = None
        self._is_retired = False
        self._no_more_starts, self._stop_requested = threading.Event(), threading.Event()
        self._thread = DaemonThread(target=self._run, name=f"loco-supervisor {spec.name}")

    @property
    def deaths(self) -> int:
        """How many times in a row it died without settling."""
        return self._backoff.failures

    @property
    def state(self) -> State:
        """The present state of the component."""
        if self._phase is State.STOPPED:
            return self._phase
        if self._stop_requested.is_set():
            return State.STOPPING
        if self._no_more_starts.is_set() and not self._is_retired:
            return State.QUIET
        return State.FAILED if self.deaths >= FAILED_AFTER_DEATHS and not self._has_settled else self._phase

    @property
    def _has_settled(self) -> bool:
        return self._phase is State.RUNNING and self._clock() - self._began > SETTLED_SECONDS

    def health(self) -> dict[str, Any]:
        """Return the component's own health, its ``state``, ``deaths`` in a row, and the class of the last ``problem``.

        A component that does not answer, or raises, is ``stuck``. The text of an error goes only into the log, because
        it may contain secrets.
        """
        try:
            own = self._health.ask(CALL_SECONDS)
        except Exception as error:  # noqa: BLE001 - a component may raise anything
            own = {"alive": False, "stuck": True, "trouble": type(error).__name__}
        return own | {"state": str(self.state), "deaths": self.deaths, "problem": self._problem_class}

    def _ask_health(self) -> dict[str, Any]:
        return dict(self.component.health()) if self.component else {"alive": False}

    def start(self) -> None:
        """Start the thread, once."""
        if self._thread.ident is None:
            self._thread.start()

    def quiet(self) -> None:
        """Make the component take no more work. If it dies now, it is not started again."""
        self._no_more_starts.set()
        self._pass_on()

    def retire(self) -> None:
        """Make a component that ``may_end`` finish the work that has begun and then end. It is not restarted."""
        self._is_retired = True
        self._no_more_starts.set()
        self._pass_on()

    def stop(self, deadline: float) -> None:
        """Make the component end, by ``deadline`` (``time.monotonic()``, seconds) at the latest."""
        self._deadline = deadline
        self._no_more_starts.set()
        self._stop_requested.set()
        self._pass_on()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the end of the thread; return whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._no_more_starts.is_set():
            self._began = self._clock()
            if Context().run(self._live):  # a new context: a successor sees none of its variables
                break
            if self._clock() - self._began > SETTLED_SECONDS:
                self._backoff.succeeded()
            seconds = self._backoff.failed()
            self._phase = State.FAILED
            self._pause(seconds)
        self._phase = State.STOPPED
        self._on_end()

    def _live(self) -> bool:
        """Run one component until it ends; return whether it ended well."""
        self.component = None
        try:
            self.component = self._started()
            self._phase = State.RUNNING
            self._pass_on()
            return self._watch(self.component)
        except BaseException as error:  # noqa: BLE001 (it is logged)
            self._note_death("failed", error)
            return False

    def _started(self) -> Component:
        token = bind(component=self.spec.name)
        try:
            with ForksEndHere():
                self.component = component = self.spec.make()
                component.start()
            return component
        finally:
            connections.close_all()  # a connection that breaks later would make each later start fail
            unbind(token)

    def _watch(self, component: Component) -> bool:
        while not self._stop_requested.wait(self._check_every):
            # The order matters: a component that is told to stop between the two checks, and therefore ends, has not
            # died.
            if not component.is_alive and not self._stop_requested.is_set():
                return self._ended_well(component)
        component.join()
        if component.error:
            self._log("ended with an error", component.error)
        return True

    def _ended_well(self, component: Component) -> bool:
        if self.spec.may_end and component.join(CLEANUP_SECONDS):
            return True
        self._note_death("has died", component.error)
        return False

    def _note_death(self, how: str, error: BaseException | None) -> None:
        """Log the death of a component and clean up. Even if this fails, the component is restarted."""
        for step in (partial(self._log, how, error), self._clean_up):
            try:
                step()
            except BaseException:
                logger.exception("Could not handle the death of the %s", self.spec.name)

    def _log(self, how: str, error: BaseException | None) -> None:
        """Log an error, without its traceback if it is a repetition or a configuration error."""
        is_plain = isinstance(error, LocoConfigurationError)
        problem = (str(error) if is_plain else repr(error)) if error else "died"
        news = None if is_plain or problem == self._problem else error
        self._problem, self._problem_class = problem, type(error).__name__ if error else problem
        logger.error("The %s %s%s", self.spec.name, how, f": {problem}" if error else "", exc_info=news)

    def _clean_up(self) -> None:
        """Make a component that died, or started only in part, release its resources."""
        component = self.component
        if component is None:
            return

        def end() -> None:
            component.stop(self._clock())
            component.join(CLEANUP_SECONDS)

        until = self._clock() + CLEANUP_SECONDS
        if not self._calls.wait(self._calls.start(f"Stopping the {self.spec.name}", end), until=lambda: until):
            logger.error("The %s that died cannot be stopped and is left behind", self.spec.name)

    def _pass_on(self) -> None:
        """Pass ``quiet``, ``retire`` and ``stop`` on to the running component, even if they came before it started."""
        component = self.component
        if component is None or self._phase is not State.RUNNING:
            return
        try:
            if self._is_retired:  # only workers may end
                getattr(component, "retire", component.quiet)()
            elif self._no_more_starts.is_set():
                component.quiet()
        finally:
            if self._deadline is not None:
                component.stop(self._deadline)

    def _pause(self, seconds: float) -> None:
        if not self._no_more_starts.is_set():
            logger.warning("The %s is started again in %.1f s", self.spec.name, seconds)
            self._no_more_starts.wait(seconds)
