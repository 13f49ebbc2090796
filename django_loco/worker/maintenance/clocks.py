"""Detects changes of the queue's clock."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...log.safe import get_logger

logger = get_logger("django_loco.worker")


class ClockWatch:
    """Compares the clock of the leases with the monotonic clock, which nobody can set.

    When a clock is put forward, a machine wakes up or another server takes over, the leases of live workers may seem
    to have run out. These workers renew them within a renewal period, so nothing is rescued until then.
    """

    def __init__(
        self, clock: Callable[[], float], lease: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """``clock`` is ``Queue.clock``; ``lease`` is ``LEASE`` in seconds. A renewal period is a third of it."""
        self._clock = clock
        self._monotonic = monotonic
        self._tolerance = max(1.0, lease / 10)
        self._wait = lease / 2
        self._offset: float | None = None
        self._doubt = 0.0
        self._until = 0.0

    def agree(self) -> bool:
        """Compare the clocks; return whether they have run at the same rate for long enough.

        The queue reads its clock at an unknown moment during the call, so a slow answer is less exact.
        """
        asked = self._monotonic()
        answer = self._clock()
        now = self._monotonic()
        doubt = (now - asked) / 2
        offset = answer - asked - doubt
        if self._offset is None:
            self._offset, self._doubt, self._until = offset, doubt, now
        elif abs(offset - self._offset) > self._tolerance + doubt + self._doubt:
            logger.warning(
                "The queue's clock was set: it differs by %+.1f s from the time that has passed. Jobs of dead workers "
                "are looked for again in %.0f s, when live workers have renewed their claims",
                offset - self._offset,
                self._wait,
            )
            self._offset, self._doubt, self._until = offset, doubt, now + self._wait
        elif doubt < self._doubt:
            self._offset, self._doubt = offset, doubt
        return now >= self._until
