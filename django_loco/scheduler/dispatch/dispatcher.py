"""What becomes of ticks that are due: their jobs are enqueued, or they wait, or they are left out.

While their store is away they wait in the due_heap, so that they may come to count as missed; while an earlier job of
their schedule has not ended, in a line of their own (see ``overlap``).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ...backend import ScheduledCall
from ...exceptions import QueueError, QueueRefused, QueueUnavailable
from ...log.safe import get_logger
from ..entry import Entry, Occurrence
from ..misfire import MISSED_AFTER
from ..triggers.trigger import delay_of
from .dependents import Dependents
from .due_heap import DueHeap, DueTick
from .overlap import OverlapPolicy
from .queue_backoff import QueueBackoffs

logger = get_logger("django_loco.scheduler")

#: A tick later than this is worth a warning.
LATE_WARNING = timedelta(seconds=5)
#: When a single tick is offered again to a queue that answers, and yet does not take it.
REFUSED_RETRY = timedelta(seconds=10)


class ReadyTick(NamedTuple):
    """A tick to be fired now."""

    entry: Entry
    due: DueTick
    """What was due."""

    fired: DueTick
    """What is fired for it: the same, or what is made up for."""


class Dispatcher:
    """Fires ticks, those of a ``TASKS`` alias together. Used by one thread; what is public may be read from others."""

    def __init__(self) -> None:
        self.backoffs = QueueBackoffs()
        self.overlap = OverlapPolicy(self.backoffs, self._fire_late)
        self.dependents = Dependents(self.backoffs, self.overlap.waiting)
        self.last_tick: float | None = None
        """When a job was enqueued last (``time.monotonic()``); ``None``: not yet."""
        self.late = 0
        """How many ticks were fired later than ``LATE_WARNING``."""

    def fire(self, due_heap: DueHeap, batch: Sequence[DueTick], now: datetime) -> None:
        """Enqueue the jobs of ticks that are due, one of each schedule; or put back those whose store is away."""
        ready: dict[str, list[ReadyTick]] = defaultdict(list)
        for due in batch:
            entry = due_heap.entries[due.position]
            if until := self.backoffs.wait_until(entry.task.backend, now):
                due_heap.postpone(due, until)
            elif (fired := _caught_up(due_heap, entry, due, now)) is not None:
                tick = ReadyTick(entry, due, fired)
                if self._is_its_turn(due_heap, tick, now):
                    ready[entry.task.backend].append(tick)
        for alias, together in ready.items():
            self._fire_together(due_heap, alias, together, now)

    def advance(self, entry_of: Callable[[str], Entry | None], now: datetime) -> None:
        """Fire what waits, if its turn has come, and what runs after others; not what ``entry_of`` does not know."""
        self.dependents.look(now)
        self.overlap.advance(entry_of, now)

    @property
    def next_at(self) -> datetime | None:
        """When to ``advance`` next; ``None``: nothing waits."""
        return min(filter(None, (self.overlap.waiting.next_at, self.dependents.next_at)), default=None)

    def begin(self, now: datetime) -> None:
        """Begin anew: what waited for its turn was missed."""
        self.overlap.begin(now)
        self.dependents.forget()

    def retry_now(self, now: datetime) -> None:
        """Try all that waits: the clock was put back to ``now``, and when to try is not what it was."""
        self.backoffs.retry_now(now)
        self.overlap.waiting.retry_now(now)
        self.dependents.retry_now(now)

    def _is_its_turn(self, due_heap: DueHeap, ready: ReadyTick, now: datetime) -> bool:
        """Whether to fire a tick at once; if not, the due_heap goes on without it."""
        entry, tick = ready.entry, ready.fired.tick
        try:
            if self.overlap.has_come(entry, entry.occurrence(tick), now):
                return True
        except QueueError as error:
            self._postpone(due_heap, entry.task.backend, [ready], error, now)
            return False
        except Exception:
            logger.exception("Schedule %r: the tick of %s could not be fired and is left out", entry.name, tick)
        due_heap.follow(ready.fired, tick)
        return False

    def _fire_together(self, due_heap: DueHeap, alias: str, batch: Sequence[ReadyTick], now: datetime) -> None:
        """Enqueue the jobs in one round trip. If one of them is at fault, the others are enqueued without it."""
        try:
            self._enqueue(batch, now)
        except QueueUnavailable as error:
            self._not_taken(due_heap, alias, batch, error, now)
            return
        except Exception as error:
            if len(batch) > 1:
                for ready in batch:
                    self._fire_together(due_heap, alias, [ready], now)
                return
            if isinstance(error, QueueError) and not isinstance(error, QueueRefused):
                self._postpone(due_heap, alias, batch, error, now)
                return
            # Whatever is wrong with this one, the others have to run.
            name, tick = batch[0].entry.name, batch[0].fired.tick
            logger.exception("Schedule %r: the tick of %s could not be enqueued and is left out", name, tick)
        else:
            self.last_tick = time.monotonic()
            self.backoffs.end(alias)
        for ready in batch:
            due_heap.follow(ready.fired, ready.fired.tick)

    def _not_taken(
        self, due_heap: DueHeap, alias: str, batch: Sequence[ReadyTick], error: QueueError, now: datetime
    ) -> None:
        """Wait for a store that is away; else offer the ticks in halves, and put back a single one that is refused."""
        backend: Any = batch[0].entry.task.get_backend()
        if not backend.queue.answers():
            self._postpone(due_heap, alias, batch, error, now)
        elif len(batch) > 1:
            half = len(batch) // 2
            for part in (batch[:half], batch[half:]):
                self._fire_together(due_heap, alias, part, now)
        else:
            name, tick = batch[0].entry.name, batch[0].fired.tick
            logger.warning("Schedule %r: the queue refuses the tick of %s: %s", name, tick, error)
            due_heap.postpone(batch[0].due, now + REFUSED_RETRY)

    def _postpone(
        self, due_heap: DueHeap, alias: str, batch: Sequence[ReadyTick], error: QueueError, now: datetime
    ) -> None:
        until = self.backoffs.note(alias, error, now)
        for ready in batch:
            due_heap.postpone(ready.due, until)

    def _fire_late(self, entry: Entry, occurrence: Occurrence) -> None:
        """Enqueue the job of what has waited for its turn."""
        backend: Any = entry.task.get_backend()
        backend.enqueue_ticks([_call(entry, occurrence)])
        self.last_tick = time.monotonic()
        self.backoffs.end(entry.task.backend)

    def _enqueue(self, batch: Sequence[ReadyTick], now: datetime) -> None:
        backend: Any = batch[0].entry.task.get_backend()
        results = backend.enqueue_ticks([_call(entry, entry.occurrence(fired.tick)) for entry, _, fired in batch])
        for (entry, _, fired), result in zip(batch, results, strict=True):
            self._tell(entry, fired.tick, now, is_ours=result is not None)

    def _tell(self, entry: Entry, tick: datetime, now: datetime, *, is_ours: bool) -> None:
        if not is_ours:
            logger.debug("Schedule %r: another scheduler fired the tick of %s", entry.name, tick)
        elif now - tick > LATE_WARNING:
            self.late += 1
            late = (now - tick).total_seconds()
            logger.warning("Schedule %r: the tick of %s was fired %.1f s late", entry.name, tick, late)
        else:
            logger.debug("Schedule %r: fired the tick of %s", entry.name, tick)


def _call(entry: Entry, occurrence: Occurrence) -> ScheduledCall:
    run_at = occurrence.at + delay_of(occurrence.key, entry.jitter)
    return ScheduledCall(entry.task, entry.args, entry.kwargs, occurrence.key, run_at)


def _caught_up(due_heap: DueHeap, entry: Entry, due: DueTick, now: datetime) -> DueTick | None:
    """Return what is fired instead of a tick that was missed; ``None``: nothing is."""
    if due.rest is not None or now - due.tick <= MISSED_AFTER:
        return due
    ticks = entry.misfire.missed_ticks(entry.trigger, due.tick, now)
    if not ticks:
        logger.warning("Schedule %r: what was due from %s on was missed and is left out", entry.name, due.tick)
        due_heap.follow(due, now)
        return None
    return due._replace(tick=ticks[0], rest=tuple(ticks[1:]))
