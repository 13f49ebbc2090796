"""The keys of limits that jobs of a worker have closed, for those that the worker has taken before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ..core.job.limits import keys_of

#: The time in which the outcome of a job that closes keys reaches the store, which hands over none of their jobs then.
STORED_SECONDS = 1.0
#: A job that was taken so long ago is no longer waiting here.
FORGOTTEN_SECONDS = 60.0


class ClosedLimits:
    """Used by the threads of all jobs of a worker.

    1. A job that raises ``Throttled`` closes its keys here, before its outcome is on its way to the store.
    2. A thread that is about to begin a limited job asks whether its keys are closed, and hands the job back if one is.

    Only jobs that were taken before the store knew of it are meant. Those that it has handed over later may begin.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken_before: dict[str, float] = {}

    def close(self, keys: Iterable[str], seconds: float) -> None:
        """Let none of the jobs with these keys begin that the worker has, or takes while this is being stored."""
        now = self._clock()
        for key, moment in tuple(self._taken_before.items()):
            if moment < now - FORGOTTEN_SECONDS:
                self._taken_before.pop(key, None)
        self._taken_before |= dict.fromkeys(keys, now + min(seconds, STORED_SECONDS))

    def refuse(self, limit_key: str, fetched_at: float) -> bool:
        """Return whether a job may not begin that was taken at ``fetched_at`` (``time.monotonic()``)."""
        moments = self._taken_before
        return bool(moments) and any(fetched_at < moments.get(key, 0.0) for key in keys_of(limit_key))
