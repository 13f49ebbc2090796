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
from .dispatch.dispatcher import Firing
from .dispatch.due_heap import Agenda
from .dispatch.timetable import Plan
from .registry import Registry, default
from .sources.database import has_database
from .sources.database_poller import Lookout

logger = get_logger("django_loco.scheduler")

#: Seconds of the longest wait.
LONGEST_WAIT = 1.0
#: Seconds after which a thread that has not looked at its agenda hangs.
HUNG = 15.0
#: Seconds that the first tick waits for what the database has of schedules.
LONGEST_LOOK = 2.0
#: Seconds that the end waits for a look at the database.
LAST_LOOK = 1.0
#: A clock that goes back by less is being adjusted, not put back.
PUT_BACK = timedelta(seconds=1)


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
        self._plan = Plan(registry, tags, now())
        self._lookout: Lookout | None = None
        self._firing = Firing()
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
            self.plan()
            if self._registry.is_project and has_database():
                self._lookout = Lookout(self._registry.exposed)
                self._lookout.start()
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
        if self._lookout:
            self._lookout.stop(deadline)

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the thread's end; return whether it has come."""
        if self._thread is not None:
            self._thread.join(timeout)
        if self._lookout and not self._is_running:
            # It only reads: if the database lets it hang, it is left behind.
            self._lookout.join(LAST_LOOK if timeout is None else min(timeout, LAST_LOOK))
        return not self._is_running

    @property
    def is_alive(self) -> bool:
        """Whether its threads run."""
        return self._is_running and (self._lookout is None or self._lookout.is_alive)

    @property
    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def health(self) -> dict[str, Any]:
        """Return what tells progress.

        ``schedules`` and ``broken`` are counts; ``rows_age`` the seconds since the database last said which schedules
        it has, ``last_pass_age`` and ``last_tick_age`` those since the thread last looked at its agenda and last
        fired a tick (``None``: not yet), ``late_by`` the seconds that the most overdue tick is late, ``late_ticks``
        how many were fired more than 5 seconds late, ``waiting`` how many wait until an earlier job has ended,
        ``unreachable`` the ``TASKS`` aliases whose queue takes nothing, and ``stuck`` whether the thread has not come
        round for ``HUNG`` seconds.
        """
        since = self._began if self._last_pass is None else self._last_pass
        return {
            "alive": self.is_alive,
            "schedules": self._plan.schedules,
            "broken": self._plan.broken,
            "rows_age": self._lookout.age if self._lookout else None,
            "last_pass_age": _age(self._last_pass),
            "last_tick_age": _age(self._firing.last_tick),
            "late_by": round(self._agenda.late_by(self._now()), 3),
            "late_ticks": self._firing.late,
            "waiting": self._firing.turns.waiting.count,
            "unreachable": self._firing.outages.aliases,
            "stuck": self.is_alive and time.monotonic() - since > HUNG,
        }

    def plan(self) -> None:
        """Find the schedules, and of each the tick to begin with."""
        self._latest = self._now()
        self._plan.begin(self._latest)
        self._firing.begin(self._latest)
        self._firing.chains.watch(self._plan.links, self._latest)

    def fire_due(self) -> float:
        """Fire all ticks that are due, and return the seconds to wait before the next call."""
        now = self._notice_clock()
        if self._lookout and (news := self._lookout.news()):
            self._plan.apply(news, now)
            self._firing.chains.watch(self._plan.links, now)
        while not self._quiet.is_set() and (batch := self._plan.due(now)):
            self._firing.fire(self._agenda, batch, now)
            now = self._now()
        if not self._quiet.is_set():
            self._firing.advance(self._plan.entry, now)
        self._last_pass = time.monotonic()
        return self._wait(now)

    @property
    def _agenda(self) -> Agenda:
        return self._plan.agenda

    def _run(self) -> None:
        log.bind(component=self.name)
        set_store_timeout()
        try:
            if self._lookout:
                # A schedule that is paused must not run because a scheduler has not read that yet.
                self._lookout.wait(LONGEST_LOOK)
            # In a context of its own each time, as receivers of ``task_enqueued`` are called in it.
            while not self._stopped.wait(log.labelled_context().run(self.fire_due)):
                close_old_connections()
        finally:
            connections.close_all()

    def _wait(self, now: datetime) -> float:
        next_at = min(filter(None, (self._agenda.next_at, self._firing.next_at)), default=None)
        if next_at is None or self._quiet.is_set():
            return LONGEST_WAIT
        return min(LONGEST_WAIT, max(0.0, (next_at - now).total_seconds()))

    def _notice_clock(self) -> datetime:
        """Return the time; if the clock has been put back, plan anew from there."""
        now = self._now()
        if now < self._latest - PUT_BACK:
            logger.warning("The clock was put back by %.1f s", (self._latest - now).total_seconds())
            self._plan.start_over(now)
            self._firing.retry_now(now)
        self._latest = now
        return now


def _age(moment: float | None) -> float | None:
    return None if moment is None else round(time.monotonic() - moment, 3)
