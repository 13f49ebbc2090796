"""Fires the ticks of all schedules: the component that ``--scheduler`` starts.

Several schedulers, one job per tick
------------------------------------
Every scheduler computes the same ticks and tries to enqueue a job for each. The key of that job is made of the
schedule's name and the time of the tick, and a queue takes a key once. So it does not matter how many schedulers run,
which of them is late, or whether a clock has jumped.

Late ticks
----------
* A scheduler that starts fires no earlier ticks, except one that was just missed (by a minute at most, and by half a
  period at most): a restart at 04:00 must not lose the day's run. On a queue in memory without a key file it fires
  none, because a restart forgets which ticks were fired.
* A scheduler that was held up for a few seconds fires every tick. After a longer pause (a suspended laptop, an outage
  of the store, a clock put forward) each schedule fires its last missed tick once, and the log says how late.
* A schedule with ``misfire``, ``grace`` or ``cap`` has its own rules for both: see ``misfire``.
* While the store cannot be reached, ticks wait and are tried again with growing delays.
* After a clock is put back, all next ticks are computed again; the queue refuses those that were already fired. Ticks
  that wait for their queue are kept.

Schedules in the database
-------------------------
A thread of its own reads them at the start and every 2 s: see ``sources.database_poller``. Changes are applied between
two ticks, and schedules that have not changed keep their next tick.

The scheduler waits on the monotonic clock, a second at most, and compares ticks with the wall clock. So it notices a
jump of the wall clock within a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..component import Loop
from ..core.job import utcnow
from ..log import labels as log
from ..log.safe import get_logger
from ..queues.timeouts import set_store_timeout
from .dispatch.dispatcher import Dispatcher
from .dispatch.heartbeat import SchedulerHeartbeat, heartbeats_for
from .dispatch.timetable import Timetable
from .registry import Registry, default
from .sources.database import has_database
from .sources.database_poller import DatabasePoller

logger = get_logger("django_loco.scheduler")

#: The store timeout of its thread. Together with the probe after it, it is less than ``MISSED_AFTER``: ticks on other
#: stores wait for one that hangs, but are not missed.
STORE_TIMEOUT_SECONDS = 5.0
#: The longest wait.
MAX_WAIT_SECONDS = 1.0
#: How long the first tick waits for the schedules of the database.
FIRST_READ_SECONDS = 2.0
#: How long ``join`` waits for each of the threads that help the scheduler.
HELPER_JOIN_SECONDS = 1.0
#: A clock that goes back by less than this was adjusted, not put back.
CLOCK_TOLERANCE = timedelta(seconds=1)


class Scheduler(Loop):
    """Enqueues a job for each tick of the schedules in ``registry``, by default those of the project.

    With ``tags``, only the schedules that have one of them.

    1. ``start`` finds the schedules and starts a thread, ``loco-scheduler``.
    2. The thread waits for the next tick, fires all ticks that are due, and waits again.
    3. ``quiet`` ends the firing, ``stop`` ends the thread.

    ``now`` returns the time of the wall clock, aware.
    """

    name = "scheduler"
    stuck_after = 15.0

    def __init__(
        self, registry: Registry = default, *, tags: Collection[str] = (), now: Callable[[], datetime] = utcnow
    ) -> None:
        super().__init__()
        self._registry = registry
        self._now = now
        self._timetable = Timetable(registry, tags, now())
        self._tags = tags
        self._poller: DatabasePoller | None = None
        self._heartbeats: Sequence[SchedulerHeartbeat] = ()
        self._dispatcher = Dispatcher()
        self._starting = threading.Lock()
        self._latest = now()
        self._last_pass: float | None = None

    def start(self) -> None:
        """Find the schedules and start to fire their ticks. An invalid schedule is logged and skipped."""
        with self._starting:
            if not self._thread.has_started:
                self.load()
                if self._registry.is_project and has_database():
                    self._poller = DatabasePoller(self._registry.allow_list)
                    self._poller.start()
                if self._registry.is_project:
                    self._heartbeats = heartbeats_for(self._tags, lambda: self._timetable.schedules)
                for heartbeat in self._heartbeats:
                    heartbeat.start()
                super().start()

    def open(self) -> None:
        """Wait for the first read of the database: a schedule that is paused there must not run."""
        set_store_timeout(STORE_TIMEOUT_SECONDS)
        if self._poller:
            self._poller.wait(FIRST_READ_SECONDS)

    def turn(self) -> float:
        """Fire all ticks that are due."""
        # In a context of its own, because receivers of ``task_enqueued`` are called in it.
        return log.labelled_context().run(self.fire_due)

    def quiet(self) -> None:
        """Fire no more ticks."""
        super().quiet()
        for heartbeat in self._heartbeats:
            heartbeat.quiet()

    def stop(self, deadline: float) -> None:
        """Fire no more ticks and end the thread."""
        super().stop(deadline)
        if self._poller:
            self._poller.stop(deadline)
        for heartbeat in self._heartbeats:
            heartbeat.end()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the thread to end; return whether it has ended."""
        has_ended = super().join(timeout)
        if has_ended:
            # They only read, or show that it lives. If a store hangs, their threads are left behind.
            seconds = HELPER_JOIN_SECONDS if timeout is None else min(timeout, HELPER_JOIN_SECONDS)
            if self._poller:
                self._poller.join(seconds)
            for heartbeat in self._heartbeats:
                heartbeat.join(seconds)
        return has_ended

    @property
    def is_alive(self) -> bool:
        """Whether its threads are running."""
        return super().is_alive and (self._poller is None or self._poller.is_alive)

    def health(self) -> dict[str, Any]:
        """Return the values for ``/_health``.

        ``schedules`` and ``broken`` are counts. ``rows_age``, ``last_pass_age`` and ``last_tick_age`` are the seconds
        since the schedules of the database were last read, since the thread last checked for due ticks, and since it
        last fired one (``None``: never). ``late_by`` is by how many seconds the most overdue tick is late,
        ``late_ticks`` counts the ticks fired more than 5 seconds late, and ``waiting`` those that wait until an earlier
        job has ended. ``unreachable`` are the ``TASKS`` aliases whose queue takes no jobs. ``stuck`` says whether a
        check has taken longer than ``stuck_after`` seconds.
        """
        return {
            "alive": self.is_alive,
            "schedules": self._timetable.schedules,
            "broken": self._timetable.broken,
            "rows_age": self._poller.age if self._poller else None,
            "last_pass_age": _age(self._last_pass),
            "last_tick_age": _age(self._dispatcher.last_tick),
            "late_by": round(self._timetable.due_heap.late_by(self._now()), 3),
            "late_ticks": self._dispatcher.late,
            "waiting": self._dispatcher.overlap.pending.count,
            "unreachable": self._dispatcher.backoffs.aliases,
            "stuck": super().health()["stuck"],
        }

    def load(self) -> None:
        """Find the schedules, and the first tick of each."""
        self._latest = self._now()
        self._timetable.begin(self._latest)
        self._dispatcher.begin(self._latest)
        self._dispatcher.dependents.watch(self._timetable.dependencies, self._latest)

    def fire_due(self) -> float:
        """Fire all ticks that are due, and return the seconds to wait before the next call."""
        now = self._notice_clock()
        if self._poller and (stored := self._poller.changes()):
            self._timetable.apply(stored, now)
            self._dispatcher.dependents.watch(self._timetable.dependencies, now)
        while not self._quiet.is_set() and (batch := self._timetable.due(now)):
            self._dispatcher.fire(self._timetable.due_heap, batch, now)
            now = self._now()
        if not self._quiet.is_set():
            self._dispatcher.advance(self._timetable.entry, self._timetable.was_paused, now)
        self._last_pass = time.monotonic()
        return self._wait(now)

    def _wait(self, now: datetime) -> float:
        next_at = min(filter(None, (self._timetable.due_heap.next_at, self._dispatcher.next_at)), default=None)
        if next_at is None or self._quiet.is_set():
            return MAX_WAIT_SECONDS
        return min(MAX_WAIT_SECONDS, max(0.0, (next_at - now).total_seconds()))

    def _notice_clock(self) -> datetime:
        """Return the time. If the clock was put back, compute all next ticks again."""
        now = self._now()
        if now < self._latest - CLOCK_TOLERANCE:
            logger.warning("The clock was put back by %.1f s", (self._latest - now).total_seconds())
            self._timetable.start_over(now)
            self._dispatcher.retry_now(now)
        self._latest = now
        return now


def _age(moment: float | None) -> float | None:
    return None if moment is None else round(time.monotonic() - moment, 3)
