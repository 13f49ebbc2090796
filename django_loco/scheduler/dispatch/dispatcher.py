"""Enqueues the jobs of ticks that are due; a tick may also wait, or be skipped.

While their queue cannot be reached, ticks wait in the due heap, and may count as missed later. While an earlier job of
their schedule has not ended, they wait in a list of their own: see ``overlap``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ...core.compat import Task, task_backends
from ...core.job import utcnow
from ...exceptions import QueueError, QueueRefused, QueueUnavailable
from ...log.safe import get_logger
from ...tasks.enqueueing.tick_jobs import ScheduledCall
from ..entry import Occurrence, ScheduleEntry
from ..misfire import MISSED_AFTER
from ..triggers.trigger import delay_of
from .announcements import announce_fired, announce_skipped
from .dependents import MAX_JOBS, Dependents, Follow, WasPaused
from .due_heap import DueHeap, DueTick
from .overlap import Jobs, OverlapPolicy
from .queue_backoff import QueueBackoffs

logger = get_logger("django_loco.scheduler")

#: A tick that is fired later than this is logged as a warning.
LATE_WARNING = timedelta(seconds=5)
#: When a tick is offered again to a queue that answers but refuses it: the first time, and each later time.
FIRST_REFUSED_RETRY, REFUSED_RETRY = timedelta(seconds=1), timedelta(seconds=10)


class ReadyTick(NamedTuple):
    """A tick to be fired now."""

    entry: ScheduleEntry
    due: DueTick
    """The tick that was due."""

    fired: DueTick
    """The tick to fire instead: the same, or the first of the missed ticks."""


class Dispatcher:
    """Fires the ticks of one ``TASKS`` alias together. For one thread; others may read the public attributes."""

    def __init__(self, alias: str, follow: Follow) -> None:
        """``follow``: see ``Dependents``."""
        self.backoffs = QueueBackoffs()
        self.overlap = OverlapPolicy(self.backoffs, self._fire_late)
        self.dependents = Dependents(self.backoffs, follow)
        self._alias = alias
        self.last_tick: float | None = None
        """When the last job was enqueued, by ``time.monotonic()``; ``None`` if none was."""
        self.late = 0
        """The number of ticks fired later than ``LATE_WARNING``."""

    def fire(self, due_heap: DueHeap, batch: Sequence[DueTick], now: datetime, began: datetime) -> None:
        """Enqueue the jobs of due ticks, one of each schedule. Put back the ticks whose queue cannot be reached.

        ``began``: when the scheduler began with the first of several batches. A tick does not count as missed because
        of the time that the batches take.
        """
        self._probe(now)
        jobs = self._look([due_heap.entries[due.position] for due in batch], now)
        caught_up = (each for due in batch if (each := self._to_fire(due_heap, due, now, began)))
        ready = [each for each in caught_up if self._may_fire(due_heap, each, jobs, now)]
        if until := self.backoffs.wait_until(self._alias, now):
            # Looking for earlier jobs has failed. Another failure would take as long again.
            for tick in ready:
                due_heap.postpone(tick.due, until)
        elif ready:
            self._fire_together(due_heap, ready, now)

    def add(self, entry: ScheduleEntry, occurrence: Occurrence, now: datetime) -> None:
        """Keep an occurrence for the next ``advance``. Its schedule runs after another one."""
        cap = entry.misfire.cap if entry.overlap == "queue" else MAX_JOBS
        self.overlap.pending.add(occurrence, now, cap)

    def advance(self, entry_of: Callable[[str], ScheduleEntry | None], was_paused: WasPaused, now: datetime) -> None:
        """Fire ticks that have waited and schedules that run after others, if ``entry_of`` still knows them."""
        if (next_at := self.next_at) and next_at <= now:
            self._probe(now)
        self.dependents.poll(now, was_paused)
        self.overlap.advance(entry_of, now)

    @property
    def next_at(self) -> datetime | None:
        """When to call ``advance`` next; ``None`` if nothing waits."""
        return min(filter(None, (self.overlap.pending.next_at, self.dependents.next_at)), default=None)

    def begin(self, now: datetime) -> None:
        """Start over. Ticks that were waiting count as missed."""
        self.overlap.begin(now)
        self.dependents.watch([], now)

    def retry_now(self, now: datetime) -> None:
        """Try everything that waits at ``now``, because the clock was put back."""
        self.backoffs.retry_now(now)
        self.overlap.pending.retry_now(now)
        self.dependents.retry_now(now)

    def _probe(self, now: datetime) -> None:
        """Probe a queue that could not be reached before other calls: if it is still away, a probe fails sooner."""
        if self.backoffs.is_due(self._alias, now):
            backend: Any = task_backends[self._alias]
            if not backend.queue.answers():
                self.backoffs.failed(self._alias, QueueUnavailable(f"TASKS[{self._alias!r}] does not answer."), now)

    def _look(self, entries: Sequence[ScheduleEntry], now: datetime) -> Jobs:
        """Return the jobs of due schedules, as far as ``overlap`` looks them up together."""
        try:
            return {} if self.backoffs.wait_until(self._alias, now) else self.overlap.look(entries)
        except QueueError as error:
            self.backoffs.failed(self._alias, error, now)
        except Exception as error:  # noqa: BLE001 - an error of one schedule must not affect the others
            logger.debug("The jobs of schedules cannot be read together: %s", error)
        return {}

    def _to_fire(self, due_heap: DueHeap, due: DueTick, now: datetime, began: datetime) -> ReadyTick | None:
        """Return what to fire for ``due`` now; ``None`` if it is put back or skipped."""
        entry = due_heap.entries[due.position]
        if until := self.backoffs.wait_until(entry.task.backend, now):
            due_heap.postpone(due, until)
            return None
        fired = _caught_up(due_heap, entry, due, began)
        return ReadyTick(entry, due, fired) if fired else None

    def _may_fire(self, due_heap: DueHeap, ready: ReadyTick, jobs: Jobs, now: datetime) -> bool:
        """Return whether to fire a tick at once. If not, plan the next tick of its schedule."""
        entry, tick = ready.entry, ready.fired.tick
        try:
            if self.overlap.allows(entry, entry.occurrence(tick), jobs, now):
                return True
        except QueueError as error:
            self._postpone(due_heap, entry.task.backend, [ready.due], error, now)
            return False
        except Exception:
            logger.exception("Schedule %r: the tick of %s could not be fired and is skipped", entry.name, tick)
            announce_skipped(entry.name, tick, "error")
        due_heap.plan_next(ready.fired, tick)
        return False

    def _fire_together(self, due_heap: DueHeap, batch: Sequence[ReadyTick], now: datetime) -> None:
        """Enqueue the jobs in one round trip. If one of them fails, the others are enqueued without it."""
        try:
            self._enqueue_batch(batch, now)
        except QueueUnavailable as error:
            self._not_taken(due_heap, batch, error, now)
            return
        except Exception as error:
            if len(batch) > 1:
                for ready in batch:
                    self._fire_together(due_heap, [ready], now)
                return
            if isinstance(error, QueueError) and not isinstance(error, QueueRefused):
                self._postpone(due_heap, batch[0].entry.task.backend, [ready.due for ready in batch], error, now)
                return
            # An error of one schedule must not affect the others.
            name, tick = batch[0].entry.name, batch[0].fired.tick
            logger.exception("Schedule %r: the tick of %s could not be enqueued and is skipped", name, tick)
            announce_skipped(name, tick, "error")
        for ready in batch:
            due_heap.plan_next(ready.fired, ready.fired.tick)

    def _not_taken(self, due_heap: DueHeap, batch: Sequence[ReadyTick], error: QueueError, now: datetime) -> None:
        """Wait if the queue cannot be reached.

        Otherwise offer the ticks in halves. Put back a single tick that is refused.
        """
        task: Any = batch[0].entry.task
        if not task.get_backend().queue.answers():
            self._postpone(due_heap, task.backend, [ready.due for ready in batch], error, now)
        elif len(batch) > 1:
            half = len(batch) // 2
            for part in (batch[:half], batch[half:]):
                self._fire_together(due_heap, part, now)
        else:
            name, tick = batch[0].entry.name, batch[0].fired.tick
            logger.warning("Schedule %r: the tick of %s was not stored and is tried again: %s", name, tick, error)
            # For the first time soon: the store may have hung for a moment, and the tick is not to be missed for that.
            is_first = batch[0].due.at == batch[0].due.tick
            due_heap.postpone(batch[0].due, now + (FIRST_REFUSED_RETRY if is_first else REFUSED_RETRY))

    def _postpone(
        self, due_heap: DueHeap, alias: str, ticks: Sequence[DueTick], error: QueueError, now: datetime
    ) -> None:
        until = self.backoffs.failed(alias, error, now)
        for due in ticks:
            due_heap.postpone(due, until)

    def _fire_late(self, entry: ScheduleEntry, occurrence: Occurrence) -> None:
        """Enqueue the job of an occurrence that has waited."""
        (result,) = self._enqueue(entry.task, [_call(entry, occurrence)])
        if result is not None:
            late = max(0.0, (utcnow() - occurrence.at).total_seconds())
            announce_fired(entry.name, occurrence.at, late, result)

    def _enqueue_batch(self, batch: Sequence[ReadyTick], now: datetime) -> None:
        calls = [_call(entry, entry.occurrence(fired.tick)) for entry, _, fired in batch]
        results = self._enqueue(batch[0].entry.task, calls)
        for (entry, _, fired), result in zip(batch, results, strict=True):
            self._report_fired(entry, fired.tick, now, result)

    def _enqueue(self, task: Task[..., Any], calls: Sequence[ScheduledCall]) -> Sequence[object]:
        """Enqueue jobs on the backend of ``task``; return a result for each, ``None`` if its key was taken."""
        backend: Any = task.get_backend()
        results: Sequence[object] = backend.enqueue_ticks(calls)
        self.last_tick = time.monotonic()
        self.backoffs.succeeded(task.backend)
        return results

    def _report_fired(self, entry: ScheduleEntry, tick: datetime, now: datetime, result: object) -> None:
        """Log and announce that a tick was fired.

        ``result`` is the job's; ``None``: another scheduler has fired the tick.
        """
        if result is None:
            logger.debug("Schedule %r: another scheduler fired the tick of %s", entry.name, tick)
            return
        late = max(0.0, (now - tick).total_seconds())
        is_late = now - tick > LATE_WARNING
        if is_late:
            self.late += 1
            logger.warning("Schedule %r: the tick of %s was fired %.1f s late", entry.name, tick, late)
        else:
            logger.debug("Schedule %r: fired the tick of %s", entry.name, tick)
        announce_fired(entry.name, tick, late, result, is_late=is_late)


def _call(entry: ScheduleEntry, occurrence: Occurrence) -> ScheduledCall:
    run_at = occurrence.at + delay_of(occurrence.key, entry.jitter)
    return ScheduledCall(entry.task, entry.args, entry.kwargs, occurrence.key, run_at)


def _caught_up(due_heap: DueHeap, entry: ScheduleEntry, due: DueTick, now: datetime) -> DueTick | None:
    """Return the tick to fire for ``due``, which may have been missed; ``None`` if none is fired."""
    if due.rest is not None or now - due.tick <= MISSED_AFTER:
        return due
    ticks = entry.misfire.missed_ticks(entry.trigger, due.tick, now)
    if not ticks:
        logger.warning("Schedule %r: the ticks from %s on were missed and are skipped", entry.name, due.tick)
        announce_skipped(entry.name, due.tick, "missed")
        due_heap.plan_next(due, now)
        return None
    return due._replace(tick=ticks[0], rest=tuple(ticks[1:]))
