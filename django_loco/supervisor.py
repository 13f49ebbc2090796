"""Keeps the components of a process running, each for itself: what one of them suffers touches no other."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .component import Component

#: Seconds between two looks at whether a component is alive.
LOOK_EVERY = 0.5
#: Seconds between two starts of a component that dies again and again, at most.
MAX_DELAY = 30.0
#: Seconds that a component has to live for its earlier deaths to be forgotten.
SETTLED = 60.0
#: Seconds for a dead component to let go of what it held, before its successor starts.
CLEAR_UP = 5.0

logger = logging.getLogger(__name__)


class State(StrEnum):
    """Where a component is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    QUIET = "quiet"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    """It could not start, or has died, and is about to be started again."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a supervisor is to keep running."""

    name: str
    make: Callable[[], Component]
    """Called for each start, as a component runs only once."""

    may_end: bool = False
    """Whether it ends by itself when its work is done (``--drain``), and is not started again then."""


def backoff(deaths: int, jitter: Callable[[], float] = random.random) -> float:
    """Return the seconds until the next start after so many deaths in a row: 1, 2, 4 ... give or take a quarter."""
    return min(MAX_DELAY, 2.0 ** min(deaths - 1, 10)) * (0.75 + 0.5 * jitter())


class Watch:
    """Keeps one component running, from a thread of its own.

    1. Makes and starts the component.
    2. Looks at it twice a second. If it has died, or could not start, back to 1 after a pause.
    3. Ends when the component was told to stop and has, or has ended as it may.
    """

    def __init__(
        self,
        part: Part,
        on_end: Callable[[], None] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        backoff: Callable[[int], float] = backoff,
        look_every: float = LOOK_EVERY,
    ) -> None:
        """``on_end`` is called, in the thread, when the component has ended for good."""
        self.part = part
        self.component: Component | None = None
        self.deaths = 0
        self.problem = ""
        self._on_end, self._clock, self._backoff, self._look_every = on_end, clock, backoff, look_every
        self._phase = State.STARTING
        self._deadline: float | None = None
        self._no_more_starts, self._told_to_stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"loco-watch {part.name}", daemon=True)

    @property
    def state(self) -> State:
        """Where the component is in its life."""
        if self._phase is State.STOPPED:
            return self._phase
        if self._told_to_stop.is_set():
            return State.STOPPING
        return State.QUIET if self._no_more_starts.is_set() else self._phase

    def health(self) -> dict[str, Any]:
        """Return ``state``, ``deaths`` in a row, the last ``problem``, and what the component says of itself."""
        own = self.component.health() if self.component else {"alive": False}
        return own | {"state": str(self.state), "deaths": self.deaths, "problem": self.problem}

    def start(self) -> None:
        """Begin with 1."""
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
            began = self._clock()
            if self._live():
                break
            self._phase = State.FAILED
            self.deaths = 1 if self._clock() - began > SETTLED else self.deaths + 1
            self._no_more_starts.wait(self._pause())
        self._phase = State.STOPPED
        self._on_end()

    def _live(self) -> bool:
        """Go through one component's life; return whether it came to a good end."""
        try:
            self.component = self.part.make()
            self.component.start()
            self._phase = State.RUNNING
            self._pass_on()
            return self._watch(self.component)
        except Exception as error:
            repeated, self.problem = self.problem == repr(error), repr(error)
            logger.exception("The %s failed: %s", self.part.name, self.problem, exc_info=not repeated)
            return False

    def _watch(self, component: Component) -> bool:
        while not self._told_to_stop.wait(self._look_every):
            # In this order: what ends because it was told to stop between the two questions has not died.
            if not component.is_alive and not self._told_to_stop.is_set():
                return self._bury(component)
        component.join()
        return True

    def _bury(self, component: Component) -> bool:
        if self.part.may_end and component.join(CLEAR_UP):
            return True
        self.problem = "died"
        logger.error("The %s has died", self.part.name)
        component.stop(self._clock())
        component.join(CLEAR_UP)
        return False

    def _pass_on(self) -> None:
        """Tell a component that runs what this watch was told, be it before or after the component's start."""
        if self.component is None or self._phase is not State.RUNNING:
            return
        if self._no_more_starts.is_set():
            self.component.quiet()
        if self._deadline is not None:
            self.component.stop(self._deadline)

    def _pause(self) -> float:
        """Return the seconds until the next start."""
        seconds = self._backoff(self.deaths)
        if not self._no_more_starts.is_set():
            logger.warning("The %s is started again in %.1f s", self.part.name, seconds)
        return seconds


class Supervisor(Component):
    """Starts, watches and stops several components, each in a ``Watch`` of its own."""

    name = "supervisor"

    def __init__(self, parts: Sequence[Part], on_drained: Callable[[], object] = lambda: None, **options: Any) -> None:
        """``parts`` in the order in which they are to take nothing new; ``options`` are those of ``Watch``.

        ``on_drained`` is called, in a thread, when all components that may end by themselves have done so.
        """
        self._on_drained = on_drained
        self.watches = [Watch(part, self._ended, **options) for part in parts]

    def start(self) -> None:
        """Start all; one that cannot start is tried again later."""
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
        for watch in self.watches:
            try:
                getattr(watch, verb)(*arguments)
            except Exception:
                logger.exception("The %s could not %s", watch.part.name, verb)
