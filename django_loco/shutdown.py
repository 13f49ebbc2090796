"""Shuts a process down: hooks, resources, and one order under one deadline.

::

    from django_loco import shutdown


    @shutdown.before_server_shutdown
    def leave_the_load_balancer(context): ...


    @shutdown.during_server_shutdown(order=10, timeout=5)  # seconds
    async def tell_subscribers(context): ...


    indexer = shutdown.track(subprocess.Popen(["indexer"]))  # terminated at the end, killed if necessary

    while not shutdown.stopping():
        ...

The order, the same under every server and command
--------------------------------------------------
1. ``/_readiness`` answers 503. The ``before_server_shutdown`` hooks run; requests and jobs go on as usual.
2. The scheduler stops and workers take no more jobs.
3. The server accepts no more requests; running requests and jobs finish at the same time. Meanwhile the
   ``during_server_shutdown`` hooks run.
4. At the deadline, unfinished jobs are handed back and unfinished requests are dropped: a forced shutdown.
5. Tracked resources are closed, the last one first.
6. The ``after_server_shutdown`` hooks run.

The deadline is ``LOCO["SHUTDOWN_TIMEOUT"]`` seconds after the first signal. Step 1 may use ``BEFORE_HOOKS_SHARE`` of
that time, so that a hook that hangs leaves the rest to requests and jobs; a hook with a ``timeout`` of its own has that
time. Handing back and steps 5 and 6 always have ``AFTER_DEADLINE_SECONDS`` more, together. A hook that raises, takes
too long or calls ``sys.exit`` is logged and abandoned, and the next one runs. A second signal moves the deadline to
now; a third kills the process. At the end, the log names what is still open: resources that did not close, child
processes, and threads that are not daemons.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings

from .component import Component
from .core.lifecycle import leaks
from .core.lifecycle.hooks import Context, Phase
from .core.lifecycle.resources import closers, track, tracked, untrack
from .core.threads.bounded_calls import BoundedCall, BoundedCalls
from .log.output import streams
from .log.output.bounded import get_bounded_logger
from .log.plain_text import shown

__all__ = [
    "CLEAN",
    "FORCED",
    "Context",
    "Shutdown",
    "after_server_shutdown",
    "before_server_shutdown",
    "during_server_shutdown",
    "stopping",
    "track",
    "tracked",
    "untrack",
]

#: Exit codes: all work was finished; or something was handed back or dropped.
CLEAN, FORCED = 0, 1

#: The share of the time that ``before_server_shutdown`` hooks without a timeout have, together.
BEFORE_HOOKS_SHARE = 0.25
#: Seconds after the deadline for handing back, closing resources and the last hooks.
AFTER_DEADLINE_SECONDS = 3.0
#: Seconds that running requests and jobs have when the code has changed: a developer is waiting.
RELOAD_TIMEOUT_SECONDS = 5.0
#: Of ``AFTER_DEADLINE_SECONDS``, the seconds that workers have to hand back their jobs.
HAND_BACK_SECONDS = 2.0
#: Seconds that a resource has to close.
CLOSE_SECONDS = 2.5
#: Seconds that each hook and resource has at least, even when no time is left.
MIN_STEP_SECONDS = 0.25

logger = get_bounded_logger(__name__)
_stopping = threading.Event()


def stopping() -> bool:
    """Whether this process is shutting down, for loops that should stop then."""
    return _stopping.is_set()


def remember() -> None:
    """Record that the process is shutting down, in processes without a ``Shutdown``."""
    _stopping.set()


def forget() -> None:
    """Undo ``remember``: a command that was called from Python has ended, and the process goes on."""
    _stopping.clear()


before_server_shutdown = Phase("before_server_shutdown", BEFORE_HOOKS_SHARE)
during_server_shutdown = Phase("during_server_shutdown")
after_server_shutdown = Phase("after_server_shutdown")


class Shutdown:
    """The shutdown of this process.

    1. ``request`` (a signal, a code reload, the end of the server) sets the deadline; only the first request counts.
    2. ``run`` goes through the order above in the calling thread, and returns the exit code.
    3. ``force`` moves the deadline to now; at any time, from any thread.
    """

    def __init__(self, timeout: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``timeout`` is in seconds: ``LOCO["SHUTDOWN_TIMEOUT"]``."""
        self.timeout = timeout
        self.reason = ""
        self.signal: str | None = None
        self.code = CLEAN
        self.requested = threading.Event()
        self._clock = clock
        self._deadline: float | None = None
        self._is_forced = False
        self._lock = threading.Lock()
        self._calls = BoundedCalls(clock)

    def request(self, reason: str, *, signal: str | None = None, timeout: float | None = None) -> bool:
        """Ask for the shutdown, with ``timeout`` seconds from now; return whether this was the first request."""
        with self._lock:
            if self.requested.is_set():
                return False
            self.reason, self.signal = reason, signal
            self._deadline = self._clock() + (self.timeout if timeout is None else timeout)
            remember()
            self.requested.set()
            return True

    def force(self) -> None:
        """Stop waiting for requests and jobs."""
        self.request("forced")
        with self._lock:
            was_forced, self._is_forced = self._is_forced, True
            self._deadline = min(self.deadline, self._clock())
        if not was_forced:
            self._calls.wake()
            logger.warning("Second signal: forcing the shutdown")

    def limit(self, seconds: float) -> None:
        """Move the deadline to ``seconds`` from now, if that is earlier."""
        with self._lock:
            self._deadline = min(self.deadline, self._clock() + seconds)
        self._calls.wake()

    @property
    def deadline(self) -> float:
        """When running requests and jobs must be done (``time.monotonic()``, seconds)."""
        return self._clock() + self.timeout if self._deadline is None else self._deadline

    @property
    def end(self) -> float:
        """When the shutdown must be over (``time.monotonic()``, seconds)."""
        return self.deadline + AFTER_DEADLINE_SECONDS

    def run(
        self, *parts: Component, components: Sequence[Component] = (), finish: Callable[[], Any] | None = None
    ) -> int:
        """Stop ``parts`` in this order; return the exit ``code``.

        ``components`` is given to the hooks; ``finish`` is called when all parts have ended.
        """
        self.request("end")
        streams.write_at_once()
        seconds = max(0.0, self.deadline - self._clock())
        logger.info(
            "Stopping (%s): waiting up to %.3g s for requests and jobs, a second signal ends the wait",
            self.reason,
            seconds,
        )
        self._run_hooks(before_server_shutdown, components, lambda: self.deadline)
        running = self._tell_to_stop(parts)
        self._run_hooks(during_server_shutdown, components, lambda: self.deadline)
        self._await(running)
        if left := {name: count for part in parts for name, count in _unfinished(part.name, part.health())}:
            self.code = FORCED
            logger.warning("Handed back or cut off: %s", ", ".join(f"{left[name]} by the {name}" for name in left))
        unclosed = list(self._close(finish))
        self._run_hooks(after_server_shutdown, components, lambda: self.end)
        if leaked := [*unclosed, *leaks.left()]:
            logger.warning("Still open at exit: %s. See shutdown.track()", "; ".join(leaked))
        logger.info("Stopped" if self.code == CLEAN else "Stopped by force")
        return self.code

    def _close(self, finish: Callable[[], Any] | None) -> Iterator[str]:
        """Close all resources; yield descriptions of the resources that did not close."""
        if finish:
            self._limited("Finishing", self._within(CLOSE_SECONDS, lambda: self.end), finish)
        for what, close, cut_off in closers():
            call = self._limited(what, self._within(CLOSE_SECONDS, lambda: self.end), close)
            if not call.ended:
                self._safely(cut_off)
            if call.failed:
                yield what.removeprefix("Closing ")

    def _run_hooks(self, phase: Phase, components: Sequence[Component], limit: Callable[[], float]) -> None:
        share_ends = self._clock() + phase.share * (self.deadline - self._clock()) if phase.share < 1 else math.inf
        for _, timeout, hook in phase.hooks():
            until = self._within(timeout, limit if timeout < math.inf else lambda: min(limit(), share_ends))
            context = Context(
                reason=self.reason, signal=self.signal, components=tuple(components), settings=settings, until=until
            )
            self._limited(f"The {phase.name} hook {shown(hook)}", until, hook, context)

    def _within(self, seconds: float, limit: Callable[[], float]) -> Callable[[], float]:
        """Return a function for the time ``seconds`` from now or ``limit()``, whichever is earlier.

        It is at least ``MIN_STEP_SECONDS`` from now, and at most ``end``.
        """
        now = self._clock()
        return lambda: min(now + seconds, max(limit(), now + MIN_STEP_SECONDS), self.end)

    def _limited(
        self, what: str, until: Callable[[], float], function: Callable[..., Any], *arguments: Any
    ) -> BoundedCall:
        call = self._calls.start(what, function, *arguments)
        if not self._calls.wait(call, until=until):
            logger.error("%s took too long and was abandoned", what)
            self.code = FORCED
        return call

    def _tell_to_stop(self, parts: Sequence[Component]) -> dict[BoundedCall, Component]:
        for part in parts:
            self._safely(part.quiet)
        for part in parts:
            self._safely(part.stop, self.deadline)
        return {self._calls.start(f"Waiting for {part.name}", part.join): part for part in parts}

    def _await(self, running: dict[BoundedCall, Component]) -> None:
        """Wait until each part has ended; at the deadline, make them hand back."""
        if self._calls.wait(*running, until=lambda: self.deadline):
            return
        self.code = FORCED
        late = {call: part for call, part in running.items() if not call.ended}
        for part in late.values():
            self._safely(part.stop, self._clock())
        hand_back = self._clock() + HAND_BACK_SECONDS
        if not self._calls.wait(*late, until=lambda: hand_back):
            names = [_late(part) for call, part in late.items() if not call.ended]
            logger.error("Abandoned: %s", ", ".join(names))

    def _safely(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception:
            logger.exception("%r failed", function)


def _late(part: Component) -> str:
    """Return the names of the components of a supervisor that have not ended, or the name of any other ``part``."""
    states = {name: health.get("state") for name, health in part.health().get("components", {}).items()}
    return ", ".join(name for name, state in states.items() if state != "stopped") or part.name


def _unfinished(name: str, health: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the name of each component with unfinished work, and how much of it there is."""
    count = health.get("handed_back", 0) or health.get("running", 0)
    if count:
        yield name, count
    for part, its_health in health.get("components", {}).items():
        yield from _unfinished(part, its_health)
