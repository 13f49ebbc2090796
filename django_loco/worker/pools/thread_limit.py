"""Decides how many threads of a pool may run jobs at the same time.

Python lets one thread run at a time. Jobs that compute are fastest on one thread: with ten, each call of the system and
each lock makes a thread queue up again behind the others. Jobs that wait (for a database, an API, a disk) need a thread
each. ``NUM_WORKERS`` is the maximum. How many of them run jobs at once is adjusted while they work.

The signal
----------
While jobs wait for a thread, ``InterpreterMonitor`` sleeps for a millisecond and notes how late it wakes up. A thread
that wakes up needs the interpreter. If it gets it at once, the interpreter was *free*: another thread can use it. If it
comes late, the interpreter was *busy*, and another thread would only queue up for it. This also tells C code that keeps
the interpreter from C code that lets go of it, which no measurement of processor time does.

The rules
---------
1. *Limit*. Each sample at which the interpreter is free doubles the limit, until the interpreter is busy for the first
   time. From then on a busy sample halves it, and several free samples in a row add one. This is how TCP finds the rate
   of a connection (RFC 5681: slow start and congestion avoidance).
2. *Hand-off*. A thread that is in the same job as at the last sample, while the interpreter is free, waits for
   something else. It no longer counts towards the limit, and another thread takes its place. Go's scheduler does the
   same with a thread that is blocked in a call of the system. If the interpreter is busy with something else, a thread
   waits if it has not computed for several times as long as the monitor had to wait for the interpreter. Once its job
   has taken ``LONG_SECONDS`` a thread does not count in any case, so that a long computation does not hold up short
   jobs.
3. *Tasks that wait*. A task whose jobs were seen to wait is remembered for ``REMEMBERED_SECONDS``. Its jobs are
   excluded from the limit as soon as they start. If such jobs compute after all, the interpreter is busy, none of them
   is seen to wait, and the task is forgotten.

So a pool grows from 1 to 40 threads within some six samples, and shrinks as fast. A pool without a backlog takes
no samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: The time between two samples while the limit changes, and the longest time between two samples while jobs wait.
SAMPLE_SECONDS, MAX_SAMPLE_SECONDS = 0.001, 0.008
#: The interpreter was busy if the monitor got it later than this.
LATE_SECONDS = 0.0005
#: The number of free samples in a row that add one to the limit.
FREE_SAMPLES = 4
#: The number of free samples in a row after which the limit is doubled again.
CALM_SAMPLES = 40
#: The time after which a job does not count any more.
LONG_SECONDS = 0.02
#: The time for which a task counts as one that waits, after one of its jobs was seen to wait.
REMEMBERED_SECONDS = 0.25
#: The number of tasks that are remembered.
MAX_TASKS = 1_000


class ThreadLimit:
    """The number of threads that may run jobs now, by the rules above. The caller holds a lock."""

    def __init__(self, most: int, fixed: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """``most`` is the number of threads. ``fixed`` is a limit that does not change. ``clock`` gives seconds."""
        self.most = most
        self.is_fixed = fixed is not None
        self.now = min(most, 1 if fixed is None else fixed)
        """The limit."""
        self.is_busy = False
        """Whether the interpreter was busy at the last sample."""
        self._clock = clock
        self._is_doubling = True
        self._free_samples = 0
        self._waits_until: dict[str, float] = {}

    def waits(self, task_path: str) -> bool:
        """Return whether jobs of this task wait rather than compute, as far as is known."""
        until = self._waits_until.get(task_path)
        return until is not None and self._clock() < until

    def note_waiting(self, task_path: str) -> None:
        """Remember that a job of this task was seen to wait."""
        if len(self._waits_until) >= MAX_TASKS:
            self._waits_until.clear()
        self._waits_until[task_path] = self._clock() + REMEMBERED_SECONDS

    def note_sample(self, late: float) -> None:
        """Adapt the limit: the monitor got the interpreter ``late`` seconds after it wanted it."""
        if self.is_fixed:
            return
        self.is_busy = late > LATE_SECONDS
        if self.is_busy:
            self._free_samples, self._is_doubling = 0, False
            self.now = max(1, self.now // 2)
            return
        self._free_samples += 1
        if self._is_doubling:
            self.now = min(self.most, 2 * self.now)
        elif self._free_samples % FREE_SAMPLES == 0:
            self.now = min(self.most, self.now + 1)
            self._is_doubling = self._free_samples >= CALM_SAMPLES

    def note_no_backlog(self) -> None:
        """No job waits for a thread, so there are no more samples for now."""
        self.is_busy = False
