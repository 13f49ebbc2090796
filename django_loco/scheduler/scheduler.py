"""Fires the ticks of all schedules: the component that ``--scheduler`` starts.

Several schedulers, one job per tick
------------------------------------
Every scheduler computes the same ticks and tries to enqueue a job for each. The job's key is made of the schedule's
name and the time of the tick, and a queue accepts each key only once. So it does not matter how many schedulers run,
which of them is late, or whether a clock has jumped.

Late ticks
----------
* A scheduler that starts fires no earlier ticks, except a tick that was just missed (by a minute at most, and by half a
  period at most): a restart at 04:00 must not lose the day's run. On a queue in memory without a key file it fires no
  missed tick, because after a restart it is not known which ticks were fired. A row of the database has no ticks from
  before it was added, or its ticks were changed.
* A scheduler that was held up for a few seconds fires every tick. After a longer pause (a suspended laptop, an outage
  of the store, a clock put forward) each schedule fires its last missed tick once, and the log says how late.
* A schedule with ``misfire``, ``grace`` or ``cap`` has its own rules for both: see ``misfire``.
* While the store cannot be reached, ticks wait and are tried again with growing delays. Ticks of other stores do not
  wait for it, even if it hangs.
* After a clock is put back, all next ticks are computed again; the queue refuses ticks that were already fired. Ticks
  that wait for their queue are kept.

Schedules in the database
-------------------------
A thread of its own reads them at the start and every 2 s: see ``sources.database_poller``. Changes are applied between
two ticks, and schedules that have not changed keep their next tick. The ticks of a changed row begin at the moment of
the change: see ``sources.changed_row``.

The scheduler waits on the monotonic clock, a second at most, and compares ticks with the wall clock. So it notices a
jump of the wall clock within a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from ..component import Loop
from ..core.job import utcnow
from ..jobs.stores import aliases
from ..log import labels as log
from ..log.plain_text import counted
from ..log.safe import get_logger
from ..metrics.tick_counts import counts
from ..queues.timeouts import set_store_timeout
from .dispatch.alias_scheduler import MAX_WAIT_SECONDS, STORE_TIMEOUT_SECONDS, AliasScheduler
from .dispatch.heartbeat import SchedulerHeartbeat, heartbeats_for
from .dispatch.timetable import period_of
from .entry import Occurrence, ScheduleEntry
from .registry import Registry, default
from .sources.database import StoredSchedules
from .sources.database_poller import DatabasePoller
from .sources.tables import has_database
from .triggers.trigger import Trigger

logger = get_logger("django_loco.scheduler")

#: How long the first tick waits for the schedules of the database.
FIRST_READ_SECONDS = 2.0
#: How long ``join`` waits for each of the threads that help the scheduler.
HELPER_JOIN_SECONDS = 1.0


class Scheduler(Loop):
    """Enqueues a job for each tick of the schedules in ``registry``, by default those of the project.

    With ``tags``, only the schedules that have one of them.

    1. ``start`` finds the schedules and starts a thread, ``loco-scheduler``.
    2. The thread waits for the next tick, fires all ticks that are due, and waits again. If the schedules have jobs in
       several aliases of ``TASKS``, it starts another thread for each alias: see ``AliasScheduler``.
    3. ``quiet`` ends the firing, ``stop`` ends the threads.

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
        self._tags = tags
        self._by_alias: dict[str, AliasScheduler] = {}
        self._in_use: Collection[str] = ()
        """The aliases of the schedules."""
        self._schedules = self._broken = 0
        self._logged: tuple[int, int] | None = None
        """The counts that were logged last."""

        self._known: tuple[StoredSchedules | None, datetime | None] = None, None
        """The schedules of the database, and when they were last read.

        A single value, because other threads read it.
        """

        self._poller: DatabasePoller | None = None
        self._heartbeats: Sequence[SchedulerHeartbeat] = ()
        self._starting = threading.Lock()

    def start(self) -> None:
        """Find the schedules and start to fire their ticks. An invalid schedule is logged and skipped."""
        with self._starting:
            if not self._thread.has_started:
                self.load()
                if self._reads_database:
                    self._poller = DatabasePoller(self._registry.allow_list, self._now)
                    self._poller.start()
                if self._registry.is_project:
                    self._heartbeats = heartbeats_for(self._tags, lambda: self._schedules)
                for heartbeat in self._heartbeats:
                    heartbeat.start()
                super().start()

    def open(self) -> None:
        """Wait for the first read of the database, because a schedule that is paused there must not run."""
        set_store_timeout(STORE_TIMEOUT_SECONDS)
        if self._poller:
            self._poller.wait(FIRST_READ_SECONDS)
            self._follow_database(self._poller)
            self._log_counts()  # also if the database is away, with the schedules of the code

    def turn(self) -> float:
        """Fire all ticks that are due, or make sure that the threads of the aliases do so."""
        for part in self._by_alias.values():
            if part.error is not None:
                raise part.error
        if self._poller:
            self._follow_database(self._poller)
            self._log_counts()
        if len(self._in_use) > 1:
            for alias in self._in_use:
                self._by_alias[alias].start()
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
        for part in self._by_alias.values():
            part.stop(deadline)
        if self._poller:
            self._poller.stop(deadline)
        for heartbeat in self._heartbeats:
            heartbeat.end()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the thread to end; return whether it has ended."""
        until = time.monotonic() + (threading.TIMEOUT_MAX if timeout is None else timeout)
        has_ended = super().join(timeout) and all(
            [part.join(max(0.0, until - time.monotonic())) for part in self._by_alias.values()]
        )
        if has_ended:
            # These threads only read, or show that the scheduler is alive. If a store hangs, they are left behind.
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
        parts, now = [*self._by_alias.values()], self._now()
        last_ticks = [part.dispatcher.last_tick for part in parts if part.dispatcher.last_tick is not None]
        return {
            "alive": self.is_alive,
            "schedules": self._schedules,
            "broken": self._broken,
            "rows_age": self._poller.age if self._poller else None,
            "last_pass_age": max((age for part in parts if (age := _age(part.last_pass)) is not None), default=None),
            "last_tick_age": _age(max(last_ticks, default=None)),
            "late_by": round(max((part.timetable.due_heap.late_by(now) for part in parts), default=0.0), 3),
            "late_ticks": sum(part.dispatcher.late for part in parts),
            "waiting": sum(part.dispatcher.overlap.pending.count for part in parts),
            "unreachable": sorted({alias for part in parts for alias in part.dispatcher.backoffs.aliases}),
            "stuck": super().health()["stuck"] or any(part.health()["stuck"] for part in parts),
        }

    def load(self) -> None:
        """Find the schedules, and the first tick of each."""
        self._by_alias = {alias: self._of_alias(alias) for alias in self._aliases(self._registry)}
        for part in self._by_alias.values():
            part.load()
        self._count(self._registry)
        self._registry.log_problems()
        if not self._reads_database:
            self._log_counts()

    def fire_due(self) -> float:
        """Fire all ticks that are due for aliases without threads; return the seconds to wait before the next call."""
        return min([MAX_WAIT_SECONDS, *(part.fire_due() for part in self._by_alias.values() if not part.has_started)])

    @property
    def _reads_database(self) -> bool:
        return self._registry.is_project and has_database()

    def _of_alias(self, alias: str) -> AliasScheduler:
        return AliasScheduler(
            alias,
            self._registry,
            self._tags,
            now=self._now,
            is_quiet=self._quiet,
            follow=self._follow,
            stored=lambda: self._known,
        )

    def _aliases(self, registry: Registry) -> set[str]:
        """Return the aliases of the schedules, and the aliases of tasks that database schedules may use later."""
        return {entry.task.backend for entry in registry.entries()} | {*(aliases() if registry.is_project else ())}

    def _follow_database(self, poller: DatabasePoller) -> None:
        """Take the schedules of the database if they have changed, and the time of the last read."""
        read_at = poller.read_at  # Taken before the changes, so that it does not belong to a later read.
        stored = poller.changes()
        self._known = stored or self._known[0], read_at
        if stored:
            self._count(self._registry.combined_with(stored.rows))

    def _follow(self, entry: ScheduleEntry, occurrence: Occurrence, now: datetime) -> None:
        self._by_alias[entry.task.backend].take(entry, occurrence, now)

    def _count(self, registry: Registry) -> None:
        """Update the number of schedules, and the schedules whose ticks are counted."""
        entries = registry.entries(self._tags)
        self._in_use = {entry.task.backend for entry in registry.entries()} & self._by_alias.keys()
        counts.know({entry.name: partial(_period_of, entry.trigger) for entry in entries})
        self._schedules, self._broken = len(entries), len(registry.problems())

    def _log_counts(self) -> None:
        """Log how many schedules there are, if the log does not say so yet."""
        if self._logged == (self._schedules, self._broken):
            return
        self._logged = self._schedules, self._broken
        logger.info("%s", counted(self._schedules, "schedule", "schedules"))
        if self._broken:
            logger.warning(
                "%s off because of errors: see manage.py loco_scheduler --check",
                counted(self._broken, "more schedule is", "more schedules are"),
            )


def _period_of(trigger: Trigger) -> float:
    return period_of(trigger, utcnow())


def _age(moment: float | None) -> float | None:
    return None if moment is None else round(time.monotonic() - moment, 3)
