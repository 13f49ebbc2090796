"""How threads wait until jobs in memory are due, or a key of limited jobs opens, and how they are woken."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

from ...core.job import utcnow
from .jobs.job_table import JobTable
from .records.limits import KeyTable


class MemoryWakeUps:
    """The waits of ``MemoryQueue``, and what ends them."""

    _lock: threading.RLock
    _changed: threading.Condition
    _seen: threading.local
    _jobs: JobTable
    _limit_keys: KeyTable
    _arrivals: int
    _interrupts: int

    def wait(self, timeout: float) -> bool:
        """Block until jobs have become due since this thread's last ``wait``, deferred ones too."""
        deadline = time.monotonic() + timeout
        with self._lock:
            while True:
                now = self._promote()
                seen, self._seen.value = getattr(self._seen, "value", (0, 0)), (self._arrivals, self._interrupts)
                rest = deadline - time.monotonic()
                if seen != self._seen.value or rest <= 0:
                    return bool(seen[0] != self._arrivals)
                next_due = min(filter(None, (self._jobs.waiting.next_due(), self._limit_keys.opens_at)), default=None)
                self._changed.wait(min(rest, (next_due - now).total_seconds()) if next_due else rest)

    def interrupt(self) -> None:
        """End every ``wait``, and the next one of a thread that is about to wait."""
        with self._lock:
            self._interrupts += 1
            self._changed.notify_all()

    def _promote(self, ahead: float = 0) -> datetime:
        now = utcnow()
        is_any = self._jobs.waiting.promote(now + timedelta(seconds=ahead))
        self._arrivals += is_any or self._limit_keys.has_opened(now)
        return now
