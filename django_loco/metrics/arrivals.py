"""Counts the jobs that a process enqueues, and writes the counts to their queues.

Any process may enqueue: a site, a command, a shell. These have no thread that could write, so the first job starts one.
The thread writes once a minute, and ends when a minute has passed without a job. The rest is written when the process
ends. A process that is killed loses a minute at most.

Nothing is counted in tests, because nothing of a test's jobs may outlive the test.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing

from django.db import connections, transaction

from ..core import running_tests
from ..core.job import Job
from ..core.threads import DaemonThread
from ..queues import Queue, queue_for
from ..queues.records.minutes import NUMBERS, Labels, Minute, minute_of
from .names import BoundedNames
from .writer import WRITE_EVERY_SECONDS, write

ENQUEUED = "enqueued"


class Arrivals:
    """The counts of enqueued jobs that are not written yet. For any thread.

    1. ``count`` counts jobs, and starts the thread unless it runs.
    2. The thread calls ``write`` once a minute, and ends when there was nothing to write.
    """

    def __init__(
        self, queue_of: Callable[[str], Queue] = queue_for, clock: Callable[[], float] = time.time, every: float = 60.0
    ) -> None:
        """``queue_of`` returns the queue of an alias; ``clock`` returns the time in seconds since 1970.

        ``every``: seconds between two writes.
        """
        self._queue_of, self._clock, self._every = queue_of, clock, every
        self._lock = threading.RLock()  # a finalizer or signal handler may enqueue while it is held
        self._counts: defaultdict[str, Counter[tuple[int, str, str]]] = defaultdict(Counter)
        self._names = BoundedNames()
        self._thread: threading.Thread | None = None  # noqa: TID251 - only names the type
        self._ended = threading.Event()

    def count(self, alias: str, jobs: Sequence[Job]) -> None:
        """Count ``jobs``, which the queue of ``alias`` has stored."""
        minute = minute_of(self._clock())
        with self._lock:
            counts = self._counts[alias]
            for job in jobs:
                counts[minute, *self._names.of(job.queue_name, job.task_path)] += 1
            if self._thread is None:
                self._start()

    def write(self) -> bool:
        """Write the counts since the last write. Return whether there were any."""
        with self._lock:
            counts, self._counts = self._counts, defaultdict(Counter)
        for alias, of_alias in counts.items():
            with closing(self._queue_of(alias)) as queue:
                write(queue, [_minute(*labels, number) for labels, number in of_alias.items()])
        return bool(counts)

    def close(self) -> None:
        """Write the rest, and end the thread."""
        self._ended.set()
        self.write()

    def _start(self) -> None:
        self._thread = DaemonThread(target=self._run, name="loco-arrivals")
        try:
            self._thread.start()
        except RuntimeError:  # no more threads, or the process is ending; ``close`` writes the rest
            self._thread = None

    def _run(self) -> None:
        while not self._ended.wait(self._every) and self.write():
            pass
        with self._lock:
            self._thread = None
            if self._counts and not self._ended.is_set():  # a job came since the last check
                self._start()


def _minute(minute: int, queue_name: str, task_path: str, number: int) -> Minute:
    return Minute(Labels(minute, queue_name, task_path, ENQUEUED), (number, *[0] * (len(NUMBERS) - 1)))


_arrivals = Arrivals(every=WRITE_EVERY_SECONDS)


def count_enqueued(queue: Queue, jobs: Sequence[Job]) -> None:
    """Count jobs that ``queue`` has stored, once the caller's transaction is committed. Counts nothing in tests."""
    if running_tests.is_on() or not jobs:
        return
    if queue.database is not None and connections[queue.database].in_atomic_block:
        transaction.on_commit(lambda: _arrivals.count(queue.alias, jobs), using=queue.database)
    else:
        _arrivals.count(queue.alias, jobs)


def _forget() -> None:
    global _arrivals
    _arrivals = Arrivals(every=WRITE_EVERY_SECONDS)


def _close() -> None:
    _arrivals.close()


os.register_at_fork(after_in_child=_forget)
atexit.register(_close)
