"""The jobs that wait for a thread of the pool, and which thread may take the next one."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence

from ...core.backoff import LoggedBackoff
from ...log.safe import get_logger
from ..claimed_job import ClaimedJob
from .job_thread import JobThread
from .thread_limit import LONG_SECONDS, ThreadLimit

logger = get_logger("django_loco.worker")

#: A core counts as idle if more than this part of it is unused, since measurements are never exact.
IDLE_CORE = 0.3
#: While the interpreter is busy, a job counts as waiting if it has computed for less than COMPUTING_SHARE of its time.
#: It is judged only after WAIT_SECONDS, and after LATE_FACTOR times the monitor's last wait for the interpreter.
COMPUTING_SHARE, WAIT_SECONDS, LATE_FACTOR = 0.05, 0.01, 3


class WorkQueue:
    """Hands jobs to threads in the order in which they came, to as many threads as ``limit`` allows.

    1. ``put`` adds jobs, and wakes a thread if one may run the oldest of them.
    2. A thread takes the oldest job (``take``). If the next job may begin as well, it wakes the next thread first.
    3. After its job a thread takes the next one without asking anybody. It sleeps if there is none, or if the limit is
       reached. The thread that fell asleep last is woken first.
    4. While jobs wait, ``adapt`` finds the threads that do not use the interpreter, and gives their places to others.

    All threads of the pool use it. Its lock is never held during a wait, except for the start of a thread.
    """

    def __init__(
        self,
        limit: ThreadLimit,
        start_thread: Callable[..., JobThread | None],
        *,
        clock: Callable[[], float] = time.monotonic,
        has_idle_core: Callable[[float], bool] | None = None,
    ) -> None:
        """Starts nothing.

        Args:
            limit: how many threads may run jobs.
            start_thread: called as ``start_thread(is_patient=...)``, see ``wake_next``. Starts a thread that will call
                ``take``, or returns ``None``.
            clock: ``time.monotonic``.
            has_idle_core: see ``CpuShare``.
        """
        self.limit = limit
        self._start_thread = start_thread
        self._lock = threading.Lock()
        self._is_closed = self._is_quiet = False
        self._jobs: deque[ClaimedJob] = deque()
        self._asleep: dict[JobThread, None] = {}
        self._begun = 0
        """The number of jobs that threads have taken."""
        self._counted: set[JobThread] = set()
        """The threads that count towards the limit."""
        self._waking: set[JobThread] = set()
        """The threads that were woken or started and have not asked for a job yet; usually one at a time."""
        self._woken_at = -math.inf
        """When a thread was last woken or started."""
        self._starts = LoggedBackoff(logger, "The worker", "start another thread for jobs", 0.0, 0.0)
        """Logs that threads cannot be started. Its delays are not used."""
        self._clock = clock
        self._has_idle_core = has_idle_core or CpuShare().has_idle_core

    def __len__(self) -> int:
        return len(self._jobs)

    def has_backlog(self) -> bool:
        """Return whether jobs wait for a thread. If none does, the interpreter no longer counts as busy."""
        if not self._jobs:
            self.limit.note_no_backlog()
        return bool(self._jobs)

    def put(self, claimed_jobs: Sequence[ClaimedJob]) -> None:
        """Add jobs."""
        with self._lock:
            self._jobs.extend(claimed_jobs)
        self.wake_next(is_patient=True)

    def take(self, thread: JobThread) -> ClaimedJob | None:
        """Return the next job for ``thread``, or ``None`` if no job may begin now. The thread is woken later."""
        with self._lock:
            self._leave(thread)
            if self._is_closed:
                return None
            if not self._may_begin():
                self._asleep[thread] = None
                return None
            # From here on the thread has the job, even if something is raised in it before it begins to run it.
            thread.current = claimed = self._jobs[0]
            del self._jobs[0]
            self._begun += 1
            self.limit.note_begun(claimed.job.task_path)
            if not self.limit.waits(claimed.job.task_path):
                self._counted.add(thread)
        if self._jobs:
            self.wake_next()
        return claimed

    def leave(self, thread: JobThread) -> None:
        """Stop counting a thread that has no job, or is gone."""
        with self._lock:
            self._leave(thread)
        self.wake_next()

    def withdraw(self, limit: int) -> list[ClaimedJob]:
        """Take back up to ``limit`` jobs that no thread has begun, the oldest first."""
        with self._lock:
            return [self._jobs.popleft() for _ in range(min(limit, len(self._jobs)))]

    def wake_next(self, *, is_patient: bool = False) -> bool:
        """Wake or start a thread if the oldest job may begin; return whether one is on its way.

        A thread is on its way if it was woken and has not taken its job yet. It will wake the next one.

        ``is_patient``: start no thread if one has just ended its job, since that one will take this job.
        """
        has_started = False
        try:
            with self._lock:
                if not self._waking and not self._is_closed and self._may_begin():
                    has_started = self._wake_one(is_patient)
                is_on_its_way = bool(self._waking)
        except BaseException as error:  # noqa: BLE001 - jobs that do not begin are handed back in a second
            self._starts.failed(error)
            return False
        if has_started:
            self._starts.succeeded()
        return is_on_its_way

    def adapt(self, threads: Collection[JobThread], late: float) -> bool:
        """Adapt the limit, and hand off places; return whether a thread was woken for more jobs.

        ``threads`` are the threads of the pool. ``late``: see ``ThreadLimit.note_sample``.
        """
        now = self._clock()
        with self._lock:
            self.limit.note_sample(late, self._begun)
            is_free = not self.limit.is_busy and self._has_idle_core(now)
            if not self.limit.is_fixed:
                self._counted.difference_update(
                    [thread for thread in threads if self._hands_off(thread, now, late, is_free=is_free)]
                )
            # A woken thread that has not come yet is held up, for example because it closes a connection.
            if is_free or now - self._woken_at >= LONG_SECONDS:
                self._waking.clear()
        return self.wake_next()

    def quiet(self) -> None:
        """Let no more jobs begin: they wait until they are withdrawn. May be called by a signal handler."""
        self._is_quiet = True  # without the lock, which the interrupted thread may hold

    def resume(self) -> None:
        """Let jobs begin again."""
        self._is_quiet = False
        self.wake_next()

    def close(self) -> None:
        """Give out no more jobs, and wake all threads that sleep."""
        with self._lock:
            self._is_closed = True
            for thread in self._asleep:
                thread.wake()
            self._asleep.clear()

    def _may_begin(self) -> bool:
        """Whether there is a job and a thread may run it."""
        if not self._jobs or self._is_quiet:
            return False
        return len(self._counted) < self.limit.now or self.limit.waits(self._jobs[0].job.task_path)

    def _wake_one(self, is_patient: bool) -> bool:
        """Wake or start a thread; return whether one was started."""
        has_to_start = not self._asleep
        if has_to_start:
            started = self._start_thread(is_patient=is_patient)
            if started is None:
                return False
            thread = started
        else:
            thread = next(reversed(self._asleep))
            thread.wake()
            del self._asleep[thread]
        self._waking.add(thread)
        self._woken_at = self._clock()
        return has_to_start

    def _leave(self, thread: JobThread) -> None:
        self._counted.discard(thread)
        self._waking.discard(thread)
        self._asleep.pop(thread, None)

    def _hands_off(self, thread: JobThread, now: float, late: float, *, is_free: bool) -> bool:
        """Whether the job of a thread does not count, or no longer counts: see "Hand-off" in ``thread_limit``."""
        claimed = thread.current
        if claimed is None or claimed is not thread.seen:
            thread.seen, thread.seen_since, thread.seen_cpu = claimed, now, thread.cpu_seconds
            return False
        age = now - thread.seen_since
        waits = is_free or (
            age >= max(WAIT_SECONDS, LATE_FACTOR * late)
            and thread.cpu_seconds - thread.seen_cpu < COMPUTING_SHARE * age
        )
        if waits:
            self.limit.note_waiting(claimed.job.task_path)
        return waits or age >= LONG_SECONDS


class CpuShare:
    """Measures how many cores this process has used since the last look."""

    def __init__(self) -> None:
        self._cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._looked_at, self._used = time.monotonic(), time.process_time()

    def has_idle_core(self, now: float) -> bool:
        """Return whether another thread could compute outside of the interpreter. ``now``: ``time.monotonic()``."""
        used = time.process_time()
        cores = (used - self._used) / max(now - self._looked_at, 1e-9)
        self._looked_at, self._used = now, used
        return cores < self._cores - IDLE_CORE
