"""Fires the ticks of all schedules: the component that ``--scheduler`` starts.

Many schedulers, one job per tick
---------------------------------
Every scheduler computes the same ticks and tries to enqueue each of them. The job of a tick has a key, made of the
schedule's name and the tick's time, and a queue takes a key once. So it does not matter how many schedulers run,
which of them is late, or whether a clock has jumped.

What is late
------------
* A scheduler that starts fires nothing from before, but for a tick just missed (a minute at most, and half a period
  at most): a restart at 04:00 must not lose the day's run. On a queue in memory whose keys are not kept in a file it
  does not, for there a restart forgets which ticks have been fired.
* One that was held up for a few seconds makes up for every tick. After a longer pause (a suspended laptop, a store
  that was away, a clock put forward) each schedule fires its last missed tick, once, and the log says how late.
* A schedule with ``misfire``, ``grace`` or ``cap`` has rules of its own for both: see ``misfire``.
* While the store cannot be reached ticks wait, and are tried again with growing pauses.
* A clock put back makes the scheduler compute all next ticks anew; those already fired are refused by their keys.

Schedules of the database
-------------------------
They are read at the start and every 2 s after that, in a thread of their own: see ``lookout``. What has changed is
taken over between two ticks, and the ticks of what has not changed stay as they were planned.

It waits on the monotonic clock, a second at most, and compares ticks with the wall clock, so that a jump of the
wall clock is noticed within that second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from django.db import close_old_connections, connections

from ..component import Component
from ..core.job import utcnow
from ..core.threads import DaemonThread
from ..log import labels as log
from ..log.safe import get_logger
from ..queues.timeouts import set_store_timeout
from .dispatch.dispatcher import Dispatcher
from .dispatch.due_heap import DueHeap
from .dispatch.timetable import Timetable
from .registry import Registry, default
from .sources.database import has_database
from .sources.database_poller import DatabasePoller

logger = get_logger("django_loco.scheduler")

#: Seconds of the longest wait.
MAX_WAIT_SECONDS = 1.0
#: Seconds after which a thread that has not looked at its due_heap hangs.
STUCK_AFTER_SECONDS = 15.0
#: Seconds that the first tick waits for what the database has of schedules.
FIRST_READ_SECONDS = 2.0
#: Seconds that the end waits for a look at the database.
POLLER_JOIN_SECONDS = 1.0
#: A clock that goes back by less is being adjusted, not put back.
CLOCK_TOLERANCE = timedelta(seconds=1)


class Scheduler(Component):
    """Enqueues a job for each tick of the schedules in ``registry``, by default the project's.

    With ``tags``: of those that have one of them.

    1. ``start`` looks for the schedules and begins a thread, ``loco-scheduler``.
    2. The thread waits for the next tick, fires all that are due, those of a queue together, and waits again.
    3. ``quiet`` ends the firing, ``stop`` ends the thread.

    ``now`` returns the time of the wall clock, aware.
    """

    name = "scheduler"

    def __init__(
        self, registry: Registry = default, *, tags: Collection[str] = (), now: Callable[[], datetime] = utcnow
    ) -> None:
        self._registry = registry
        self._now = now
        self._timetable = Timetable(registry, tags, now())
        self._poller: DatabasePoller | None = None
        self._dispatcher = Dispatcher()
        self._starting = threading.Lock()
        self._quiet = threading.Event()
        self._stopped = threading.Event()
        self._thread: DaemonThread | None = None
        self._latest = now()
        self._began = time.monotonic()
        self._last_pass: float | None = None

    def start(self) -> None:
        """Find the schedules and begin to fire their ticks; a schedule that is wrong is logged and left out."""
        with self._starting:
            if self._is_running:
                return
            self._quiet.clear()
            self._stopped.clear()
            self.load()
            if self._registry.is_project and has_database():
                self._poller = DatabasePoller(self._registry.allow_list)
                self._poller.start()
            self._began = time.monotonic()
            thread = DaemonThread(target=self._run, name="loco-scheduler")
            thread.start()
            self._thread = thread

    def quiet(self) -> None:
        """Fire no more ticks."""
        self._quiet.set()

    def stop(self, deadline: float) -> None:
        """Fire no more ticks and end the thread."""
        self._quiet.set()
        self._stopped.set()
        if self._poller:
            self._poller.stop(deadline)

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the thread's end; return whether it has come."""
        if self._thread is not None:
            self._thread.join(timeout)
        if self._poller and not self._is_running:
            # It only reads: if the database lets it hang, it is left behind.
            self._poller.join(POLLER_JOIN_SECONDS if timeout is None else min(timeout, POLLER_JOIN_SECONDS))
        return not self._is_running

    @property
    def is_alive(self) -> bool:
        """Whether its threads run."""
        return self._is_running and (self._poller is None or self._poller.is_alive)

    @property
    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def health(self) -> dict[str, Any]:
        """Return what tells progress.

        ``schedules`` and ``broken`` are counts; ``rows_age`` the seconds since the database last said which schedules
        it has, ``last_pass_age`` and ``last_tick_age`` those since the thread last looked at its due_heap and last
        fired a tick (``None``: not yet), ``late_by`` the seconds that the most overdue tick is late, ``late_ticks``
        how many were fired more than 5 seconds late, ``waiting`` how many wait until an earlier job has ended,
        ``unreachable`` the ``TASKS`` aliases whose queue takes nothing, and ``stuck`` whether the thread has not come
        round for ``STUCK_AFTER_SECONDS`` seconds.
        """
        since = self._began if self._last_pass is None else self._last_pass
        return {
            "alive": self.is_alive,
            "schedules": self._timetable.schedules,
            "broken": self._timetable.broken,
            "rows_age": self._poller.age if self._poller else None,
            "last_pass_age": _age(self._last_pass),
            "last_tick_age": _age(self._dispatcher.last_tick),
            "late_by": round(self._due_heap.late_by(self._now()), 3),
            "late_ticks": self._dispatcher.late,
            "waiting": self._dispatcher.overlap.waiting.count,
            "unreachable": self._dispatcher.backoffs.aliases,
            "stuck": self.is_alive and time.monotonic() - since > STUCK_AFTER_SECONDS,
        }

    def load(self) -> None:
        """Find the schedules, and of each the tick to begin with."""
        self._latest = self._now()
        self._timetable.begin(self._latest)
        self._dispatcher.begin(self._latest)
        self._dispatcher.dependents.watch(self._timetable.dependencies, self._latest)

    def fire_due(self) -> float:
        """Fire all ticks that are due, and return the seconds to wait before the next call."""
        now = self._notice_clock()
        if self._poller and (news := self._poller.news()):
            self._timetable.apply(news, now)
            self._dispatcher.dependents.watch(self._timetable.dependencies, now)
        while not self._quiet.is_set() and (batch := self._timetable.due(now)):
            self._dispatcher.fire(self._due_heap, batch, now)
            now = self._now()
        if not self._quiet.is_set():
            self._dispatcher.advance(self._timetable.entry, now)
        self._last_pass = time.monotonic()
        return self._wait(now)

    @property
    def _due_heap(self) -> DueHeap:
        return self._timetable.due_heap

    def _run(self) -> None:
        log.bind(component=self.name)
        set_store_timeout()
        try:
            if self._poller:
                # A schedule that is paused must not run because a scheduler has not read that yet.
                self._poller.wait(FIRST_READ_SECONDS)
            # In a context of its own each time, as receivers of ``task_enqueued`` are called in it.
            while not self._stopped.wait(log.labelled_context().run(self.fire_due)):
                close_old_connections()
        finally:
            connections.close_all()

    def _wait(self, now: datetime) -> float:
        next_at = min(filter(None, (self._due_heap.next_at, self._dispatcher.next_at)), default=None)
        if next_at is None or self._quiet.is_set():
            return MAX_WAIT_SECONDS
        return min(MAX_WAIT_SECONDS, max(0.0, (next_at - now).total_seconds()))

    def _notice_clock(self) -> datetime:
        """Return the time; if the clock has been put back, plan anew from there."""
        now = self._now()
        if now < self._latest - CLOCK_TOLERANCE:
            logger.warning("The clock was put back by %.1f s", (self._latest - now).total_seconds())
            self._timetable.start_over(now)
            self._dispatcher.retry_now(now)
        self._latest = now
        return now


def _age(moment: float | None) -> float | None:
    return None if moment is None else round(time.monotonic() - moment, 3)
