"""The deadline of a stop, and two moments before it: when jobs are cancelled, and when they are handed back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

#: The worker stops waiting for running jobs this many seconds before the deadline. If the whole time is shorter than
#: ten times the margin, the margin is a tenth of it.
MARGIN_SECONDS = 1.0


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
        """End by ``deadline``. A deadline later than the present one changes nothing."""
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
