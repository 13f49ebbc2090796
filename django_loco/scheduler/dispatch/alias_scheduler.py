"""Fires the ticks of the schedules that have their jobs in one alias of ``TASKS``, independently of other aliases."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import ClassVar

from ...component import Loop
from ...log import labels as log
from ...log.safe import get_logger
from ...queues.timeouts import set_store_timeout
from ..entry import Occurrence, ScheduleEntry
from ..registry import Registry
from ..sources.database import StoredSchedules
from .dependents import Follow
from .dispatcher import Dispatcher
from .timetable import Timetable

logger = get_logger("django_loco.scheduler")

#: The store timeout of its thread. Together with the following probe it is shorter than ``MISSED_AFTER``. So no ticks
#: are missed if the store of the alias hangs for a moment.
STORE_TIMEOUT_SECONDS = 5.0
#: The longest wait.
MAX_WAIT_SECONDS = 1.0
#: A clock that goes back by less than this was only adjusted.
CLOCK_TOLERANCE = timedelta(seconds=1)


class AliasScheduler(Loop):
    """The schedules of one alias, with their next ticks and the ticks that wait for the store.

    1. ``load`` finds the schedules.
    2. ``fire_due`` fires the ticks that are due. A scheduler whose schedules are all in one alias calls it in its own
       thread; otherwise ``start`` starts a thread for it. So a store that hangs delays no tick of another alias.
    3. ``take`` hands it an occurrence for the next ``fire_due``. The occurrence's schedule runs after a schedule of
       another alias.

    Other threads may call only ``take``, and read ``timetable`` and ``dispatcher`` for health.
    """

    name: ClassVar[str] = "scheduler"
    stuck_after = 15.0

    def __init__(
        self,
        alias: str,
        registry: Registry,
        tags: Collection[str],
        *,
        now: Callable[[], datetime],
        is_quiet: threading.Event,
        follow: Follow,
        stored: Callable[[], tuple[StoredSchedules | None, datetime | None]],
    ) -> None:
        """``follow`` hands an occurrence to the scheduler of the occurrence's alias.

        ``stored`` returns the schedules of the database, and when they were last read.
        """
        super().__init__()
        self.timetable = Timetable(registry, tags, now(), alias)
        self.dispatcher = Dispatcher(alias, self._hand_on)
        self.last_pass: float | None = None
        """When it last looked for due ticks, by ``time.monotonic()``."""
        self._alias, self._now, self._is_quiet, self._follow = alias, now, is_quiet, follow
        self._latest = now()
        self._stored, (self._applied, _) = stored, stored()
        self._taken: deque[tuple[ScheduleEntry, Occurrence, datetime]] = deque()

    @property
    def has_started(self) -> bool:
        """Whether it has a thread of its own."""
        return self._thread.has_started

    def load(self) -> None:
        """Find the schedules, and the first tick of each."""
        self._latest = self._now()
        self.timetable.begin(self._latest)
        self.dispatcher.begin(self._latest)
        self.dispatcher.dependents.watch(self.timetable.dependencies, self._latest)

    def take(self, entry: ScheduleEntry, occurrence: Occurrence, now: datetime) -> None:
        """Fire an occurrence of one of its schedules."""
        self._taken.append((entry, occurrence, now))

    def open(self) -> None:
        """Give up calls to a store that hangs."""
        set_store_timeout(STORE_TIMEOUT_SECONDS)

    def turn(self) -> float:
        """Fire all ticks that are due."""
        # In a context of its own, because receivers of ``task_enqueued`` are called in it.
        return log.labelled_context().run(self.fire_due)

    def fire_due(self) -> float:
        """Fire all ticks that are due, and return the seconds to wait before the next call."""
        now = self._notice_clock()
        # Taken before the schedules are updated, so that it knows every schedule that the other scheduler knew.
        taken = [self._taken.popleft() for _ in range(len(self._taken))]
        stored, self.timetable.read_at = self._stored()
        if stored is not None and stored is not self._applied:
            self._apply(stored, now)
        now = self._fire(now)
        if not self._is_quiet.is_set():
            for each in taken:
                self.dispatcher.add(*each)
            self.dispatcher.advance(self.timetable.entry, self.timetable.was_paused, now)
        self.last_pass = time.monotonic()
        return self._wait(now)

    def _apply(self, stored: StoredSchedules, now: datetime) -> None:
        """Fire the ticks that were due before the database was read, and then apply its changes."""
        if self._applied is not None:
            self.timetable.set_pauses(stored.pauses)
            self._fire(now, stored.read_at)
        self._applied = stored
        self.timetable.apply(stored, now)
        self.dispatcher.dependents.watch(self.timetable.dependencies, now)

    def _fire(self, now: datetime, until: datetime | None = None) -> datetime:
        """Fire the ticks that are due, or with ``until`` the ticks up to that moment. Return the time after that."""
        began = now
        while not self._is_quiet.is_set() and (batch := self.timetable.due(min(began, until or began))):
            self.dispatcher.fire(self.timetable.due_heap, batch, now, began)
            now = self._now()
        return now

    def _hand_on(self, entry: ScheduleEntry, occurrence: Occurrence, now: datetime) -> None:
        fire = self.dispatcher.add if entry.task.backend == self._alias else self._follow
        fire(entry, occurrence, now)

    def _wait(self, now: datetime) -> float:
        next_at = min(filter(None, (self.timetable.due_heap.next_at, self.dispatcher.next_at)), default=None)
        if next_at is None or self._is_quiet.is_set():
            return MAX_WAIT_SECONDS
        return min(MAX_WAIT_SECONDS, max(0.0, (next_at - now).total_seconds()))

    def _notice_clock(self) -> datetime:
        """Return the time. If the clock was put back, compute all next ticks again."""
        now = self._now()
        if now < self._latest - CLOCK_TOLERANCE:
            if self.timetable.due_heap.entries:
                logger.warning("The clock was put back by %.1f s", (self._latest - now).total_seconds())
            self.timetable.start_over(now)
            self.dispatcher.retry_now(now)
        self._latest = now
        return now
