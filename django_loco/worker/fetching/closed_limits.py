"""The limit keys that a worker's jobs have closed, so that jobs it fetched earlier do not begin."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ...core.job.limits import keys_of

#: Within this time the outcome of a job that closes keys reaches the store. From then on the store hands over no job
#: with these keys.
STORED_SECONDS = 1.0
#: A job that was fetched longer ago than this no longer waits in the worker.
FORGOTTEN_SECONDS = 60.0


class ClosedLimits:
    """Used by the threads of all jobs of a worker.

    1. A job that raises ``Throttled`` closes its keys here, before its outcome is on its way to the store.
    2. A thread that is about to begin a limited job asks whether its keys are closed, and hands the job back if one is.

    This concerns only jobs that were fetched before the store knew of the closed keys. Jobs that it hands over later
    may begin.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken_before: dict[str, float] = {}

    def close(self, keys: Iterable[str], seconds: float) -> None:
        """Keep jobs with these keys from beginning if they are fetched before the store has closed the keys."""
        now = self._clock()
        for key, moment in tuple(self._taken_before.items()):
            if moment < now - FORGOTTEN_SECONDS:
                self._taken_before.pop(key, None)
        self._taken_before |= dict.fromkeys(keys, now + min(seconds, STORED_SECONDS))

    def refuse(self, limit_key: str, fetched_at: float) -> bool:
        """Return whether a job fetched at ``fetched_at`` (``time.monotonic()``) must not begin."""
        moments = self._taken_before
        return bool(moments) and any(fetched_at < moments.get(key, 0.0) for key in keys_of(limit_key))
