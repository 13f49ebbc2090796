"""How a worker winds down: when its pools begin no more jobs, the deadline of a stop, and for what a drain waits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from ..jobs.presentation.limits import seconds_until_open
from ..log.plain_text import one_line
from ..log.safe import get_logger
from ..queues import Claim, Queue

logger = get_logger("django_loco.worker")

#: Seconds before the deadline at which the worker stops waiting for running jobs. If there are less than ten times as
#: many seconds altogether, it is a tenth of them.
MARGIN_SECONDS = 1.0
#: How long a worker that drains waits for a limit at most, if no job has to end before.
DRAIN_WAIT_SECONDS = 60.0
#: How many limit keys the log names whose jobs a worker leaves.
NAMED = 5


class ShutdownDeadline:
    """The deadline of a ``stop``, and two moments before it.

    1. Until ``cancel_at``, jobs may end by themselves.
    2. Then async jobs are cancelled, and may clean up until ``release_at``.
    3. Then jobs that still run are handed back to the queue, which must be done by ``deadline``.

    All are ``time.monotonic()`` seconds; infinite until there is a deadline.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.cancel_at = self.release_at = self.deadline = math.inf

    def set(self, deadline: float) -> None:
        """End by ``deadline``. A later one than the present one changes nothing."""
        if deadline >= self.deadline:
            return
        margin = min(MARGIN_SECONDS, max(0.0, deadline - self._clock()) / 10)
        self.cancel_at, self.release_at, self.deadline = deadline - margin, deadline - margin / 2, deadline

    @property
    def has_begun(self) -> bool:
        """Whether there is a deadline."""
        return self.deadline < math.inf

    @property
    def max_wait(self) -> float:
        """Seconds until the next of the three moments; infinite if there is none."""
        now = self._clock()
        return min((at - now for at in (self.cancel_at, self.release_at, self.deadline) if at > now), default=math.inf)


class QuietPool(Protocol):
    """A pool that can be kept from beginning jobs."""

    def quiet(self) -> None:
        """Let no more jobs begin."""

    def resume(self) -> None:
        """Let jobs begin again."""


class Quietness:
    """Whether the pools of a worker may begin jobs. ``begin`` may be called in a signal handler at any moment."""

    def __init__(self, pools: Sequence[QuietPool]) -> None:
        self._pools = pools
        self._is_for_good = False
        self.is_on = False

    def begin(self, *, for_now: bool = False) -> None:
        """Let no more jobs begin. ``for_now``: until ``end``."""
        if not for_now:
            self._is_for_good = True
        self.is_on = True
        for pool in self._pools:
            pool.quiet()

    def end(self) -> bool:
        """Let jobs begin again, unless it is for good; return whether they may."""
        if not self._is_for_good:
            self.is_on = False
            for pool in self._pools:
                pool.resume()
        if self._is_for_good:  # perhaps since the question above
            self.begin()
        return not self.is_on


class Leftovers:
    """The jobs that wait for limits when a worker that drains has nothing else to do.

    It waits for those that may begin when other workers' jobs have ended, or within ``DRAIN_WAIT_SECONDS``.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._left: dict[str, int] = {}
        self._seconds: dict[str, float] = {}

    def are_worth_a_wait(self, claim: Claim) -> bool:
        """Return whether one of the jobs that ``claim`` asks for may begin soon. Asks the queue."""
        self._left = dict(self._queue.limited_waiting(claim))
        self._seconds = dict(seconds_until_open(self._queue, self._left.keys())) if self._left else {}
        return any(seconds <= DRAIN_WAIT_SECONDS for seconds in self._seconds.values())

    def log(self) -> None:
        """Log which jobs were left at the last question, and why."""
        if not self._left:
            return
        parts = [
            f"{number} of {one_line(key)} for {math.ceil(self._seconds[key])} s more"
            for key, number in sorted(self._left.items(), key=lambda item: self._seconds[item[0]])
        ]
        more = [f"{len(parts) - NAMED} other keys"] if len(parts) > NAMED else []
        text = "The queue is drained, except for jobs that wait for limits which open in more than %.0f s: %s"
        logger.warning(text, DRAIN_WAIT_SECONDS, ", ".join(parts[:NAMED] + more))
