"""An interpreter on a simulated clock: threads, jobs and the monitor, without any real thread.

It advances in steps of 0.1 ms. In each step one of the threads that want the interpreter computes. It keeps the lock
until it waits for something else, or until another thread has wanted the lock for ``SWITCH`` seconds; so does Python.
The monitor is one of these threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.pools.thread_limit import MAX_SAMPLE_SECONDS, SAMPLE_SECONDS, ThreadLimit
from django_loco.worker.pools.work_queue import WorkQueue

from ..support import Clock, claimed_of

STEP, SWITCH = 0.0001, 0.005


@dataclass
class Work:
    """What a job does: it computes, then waits, then computes no more. Seconds."""

    computes: float = 0.0
    waits: float = 0.0
    needs_lock: bool = True


@dataclass(eq=False)
class SimulatedThread:
    """Stands for a ``JobThread``."""

    current: ClaimedJob | None = None
    seen: ClaimedJob | None = None
    seen_since: float = 0.0
    seen_cpu: float = 0.0
    cpu_seconds: float = 0.0
    is_asleep: bool = False
    left: Work = field(default_factory=Work)

    def wake(self) -> None:
        self.is_asleep = False


class Interpreter:
    """Runs jobs on simulated threads until they are done."""

    def __init__(self, size: int, fixed: int | None = None) -> None:
        self.clock = Clock()
        self.limit = ThreadLimit(size, fixed, clock=self.clock)
        self.threads: list[SimulatedThread] = []
        self.work = WorkQueue(self.limit, self._start, clock=self.clock, has_idle_core=lambda now: True)
        self.starts: dict[str, list[float]] = {}
        self.history: list[tuple[float, int]] = []
        """The limit after each sample, with its time."""
        self._size = size
        self._kinds: dict[ClaimedJob, Work] = {}
        self._lock: deque[Any] = deque()
        self._wanted_since = 0.0
        self._pause, self._due = SAMPLE_SECONDS, self.clock() + SAMPLE_SECONDS

    def add(self, name: str, works: Iterable[Work]) -> None:
        """Add jobs of the task ``name``."""
        jobs = []
        for work in works:
            claimed = claimed_of(name)
            self._kinds[claimed] = work
            jobs.append(claimed)
        self.work.put(jobs)

    def run(self, until: float = 1000.0) -> float:
        """Run until all jobs are done, or for ``until`` seconds; return the seconds that it took."""
        began = self.clock()
        while (self.work or any(thread.current for thread in self.threads)) and self.clock() - began < until:
            self._step()
        return self.clock() - began

    def _start(self, *, is_patient: bool) -> Any:
        if len(self.threads) >= self._size:
            return None
        self.threads.append(SimulatedThread())
        return self.threads[-1]

    def _step(self) -> None:
        for thread in self.threads:
            if thread.current is None and not thread.is_asleep:
                self._take(thread)
        wanting = [thread for thread in self.threads if thread.current and thread.left.computes > 0]
        self._queue_up([*(thread for thread in wanting if thread.left.needs_lock), *self._monitor_if_due()])
        holder = self._lock[0] if self._lock else None
        self.clock.now += STEP
        for thread in self.threads:
            if thread.current is not None:
                self._advance(thread, has_lock=thread is holder)
        if holder is self:
            self._lock.popleft()
            self._note_sample()

    def _queue_up(self, wanting: list[Any]) -> None:
        before = self._lock[0] if self._lock else None
        self._lock = deque([one for one in self._lock if one in wanting])
        if not self._lock or self._lock[0] is not before or len(self._lock) == 1:
            self._wanted_since = self.clock()
        self._lock.extend(one for one in wanting if one not in self._lock)
        if self.clock() - self._wanted_since >= SWITCH:
            self._lock.rotate(-1)
            self._wanted_since = self.clock()

    def _monitor_if_due(self) -> list[Any]:
        return [self] if self.clock() >= self._due else []

    def _note_sample(self) -> None:
        has_woken = self.work.adapt(self.threads, max(0.0, self.clock() - STEP - self._due))  # type: ignore[arg-type]
        self._pause = SAMPLE_SECONDS if has_woken else min(MAX_SAMPLE_SECONDS, 2 * self._pause)
        self._due = self.clock() + self._pause
        self.history.append((self.clock(), self.limit.now))

    def _take(self, thread: SimulatedThread) -> None:
        thread.current = claimed = self.work.take(thread)  # type: ignore[arg-type]
        if claimed is None:
            thread.is_asleep = True
            return
        work = self._kinds.pop(claimed)
        thread.left = Work(work.computes, work.waits, work.needs_lock)
        self.starts.setdefault(claimed.job.task_path.rpartition(".")[2], []).append(self.clock())

    def _advance(self, thread: SimulatedThread, *, has_lock: bool) -> None:
        left = thread.left
        if left.computes > 0:
            if has_lock or not left.needs_lock:
                left.computes -= STEP
                thread.cpu_seconds += STEP
        elif left.waits > 0:
            left.waits -= STEP
        if left.computes <= STEP / 2 and left.waits <= STEP / 2:
            thread.current = thread.seen = None
