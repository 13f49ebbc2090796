"""Decides how many threads of a pool may run jobs at the same time.

Python lets one thread run at a time. Jobs that compute are fastest on one thread: with ten, each call of the system and
each lock makes a thread queue up again behind the others. Jobs that wait (for a database, an API, a disk) need a thread
each. ``NUM_WORKERS`` is the maximum. How many of them run jobs at once is adjusted while they work.

The signal
----------
While jobs wait for a thread, ``InterpreterMonitor`` sleeps for a millisecond and notes how late it wakes up. A thread
that wakes up needs the interpreter. If the monitor gets it at once, the interpreter was *free*: another thread can use
it. If the monitor gets it late, the interpreter was *busy*, and another thread would only queue up for it. This also
distinguishes C code that keeps the interpreter from C code that releases it. No measurement of processor time can do
that.

The rules
---------
1. *Limit*. Each sample at which the interpreter is free doubles the limit, until the interpreter is busy for the first
   time. From then on a busy sample halves it. This is how TCP finds the rate of a connection (RFC 5681: slow start and
   congestion avoidance).
2. *Trial*. Jobs that compute let go of the interpreter at each call of the system, so it is free now and then, and yet
   a second thread would slow them down. So after some free samples in a row the limit grows on trial. If jobs begin
   faster, the next trial adds twice as many. If they do not, the limit is again as before, and the next trial comes
   after twice as long.
3. *Hand-off*. A thread that is in the same job as at the last sample, while the interpreter is free, waits for
   something else. It no longer counts towards the limit, and another thread takes its place. Go's scheduler does the
   same with a thread that is blocked in a call of the system. If the interpreter is busy with something else, a thread
   waits if it has not computed for several times as long as the monitor had to wait for the interpreter. Once its job
   has taken ``LONG_SECONDS`` a thread does not count in any case, so that a long computation does not hold up short
   jobs.
4. *Tasks that wait*. A task whose jobs were seen to wait more than once is remembered for ``REMEMBERED_SECONDS``,
   unless many more of its jobs began meanwhile: then the system has only taken the processor from a job that computes.
   The jobs of a remembered task are excluded from the limit as soon as they start. If such jobs compute after all, the
   interpreter is busy, none of them is seen to wait, and the task is no longer remembered.

So a pool grows from 1 to 40 threads within some six samples, and shrinks as fast. A pool without a backlog takes
no samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

#: The time between two samples while the limit changes, and the longest time between two samples while jobs wait.
SAMPLE_SECONDS, MAX_SAMPLE_SECONDS = 0.001, 0.008
#: The interpreter was busy if the monitor got it later than this.
LATE_SECONDS = 0.0005
#: The length of a trial, and of the free time before it that the trial is compared with.
TRIAL_SECONDS = 0.03
#: A trial succeeds if jobs begin faster by this factor.
GAIN = 1.05
#: The longest pause between trials, in times of ``TRIAL_SECONDS``.
MAX_PAUSE = 64
#: After this time a job no longer counts towards the limit.
LONG_SECONDS = 0.02
#: How long it is remembered that a job of a task was seen to wait.
REMEMBERED_SECONDS = 0.25
#: A task waits if at least this share of its jobs was seen to wait.
WAITING_SHARE = 0.1
#: The number of tasks that are remembered.
MAX_TASKS = 1_000


class Trial(NamedTuple):
    """A limit that is higher for a while."""

    limit_before: int
    rate_before: float
    """Jobs per second."""


@dataclass
class Sightings:
    """How many jobs of a task were recently seen to wait, and how many began. Each sighting halves both counts."""

    until: float = 0.0
    """When these counts expire, by the clock of the limit."""
    waiting: float = 0.0
    begun: float = 0.0

    @property
    def waits(self) -> bool:
        """Whether the task waits rather than computes."""
        return self.waiting > 1 and self.waiting >= WAITING_SHARE * self.begun


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
        self._trial: Trial | None = None
        self._step = 1
        """How many threads the next trial adds."""
        self._pause, self._passed = 1, 0
        """The pause before the next trial, and the part of it that has passed."""
        self._since: tuple[float, int] | None = None
        """When counting of jobs began, and how many jobs had begun before that."""
        self._seen: dict[str, Sightings] = {}

    def waits(self, task_path: str) -> bool:
        """Return whether jobs of this task, by what was seen of them, wait rather than compute."""
        seen = self._seen.get(task_path)
        return seen is not None and seen.waits and self._clock() < seen.until

    def note_begun(self, task_path: str) -> None:
        """Count a job that begins."""
        if (seen := self._seen.get(task_path)) is not None:
            seen.begun += 1

    def note_waiting(self, task_path: str) -> None:
        """Remember that a job of this task was seen to wait."""
        if len(self._seen) >= MAX_TASKS:
            self._seen.clear()
        now = self._clock()
        seen = self._seen.get(task_path)
        if seen is None or now >= seen.until:
            seen = self._seen[task_path] = Sightings()
        seen.until = now + REMEMBERED_SECONDS
        seen.waiting, seen.begun = seen.waiting / 2 + 1, seen.begun / 2

    def note_sample(self, late: float, begun: int) -> None:
        """Adapt the limit.

        Args:
            late: the seconds after which the monitor got the interpreter.
            begun: the number of jobs that have begun so far.
        """
        if self.is_fixed:
            return
        self.is_busy = late > LATE_SECONDS
        if self.is_busy:
            self._shrink()
        elif self._is_doubling:
            self.now = min(self.most, 2 * self.now)
        elif self._since is None:
            self._since = self._clock(), begun
        elif (seconds := self._clock() - self._since[0]) >= TRIAL_SECONDS:
            self._compare((begun - self._since[1]) / seconds)
            self._since = self._clock(), begun

    def _shrink(self) -> None:
        if self._trial is not None:
            self.now = self._trial.limit_before
            self._fail()
        self._is_doubling, self._since, self._step = False, None, 1
        self.now = max(1, self.now // 2)

    def _compare(self, rate: float) -> None:
        """End a trial, or begin one if it is time. ``rate``: jobs begun per second under the present limit."""
        if self._trial is None:
            self._passed += 1
        elif rate > GAIN * self._trial.rate_before:
            self._step, self._pause, self._passed = 2 * self._step, 1, 1
        else:
            self.now = self._trial.limit_before
            self._fail()
        self._trial = None
        if self._passed >= self._pause and self.now < self.most:
            self._trial, self._passed = Trial(self.now, rate), 0
            self.now = min(self.most, self.now + self._step)

    def _fail(self) -> None:
        self._trial, self._step = None, 1
        self._pause, self._passed = min(MAX_PAUSE, 2 * self._pause), 0

    def note_no_backlog(self) -> None:
        """Take no more samples for now, because no job waits for a thread."""
        self.is_busy, self._since = False, None
