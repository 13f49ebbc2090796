"""What becomes of ticks that are due: their jobs are enqueued, or they wait, or they are left out.

While their store is away they wait in the agenda, so that they may come to count as missed; while an earlier job of
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
from ..entry import Entry
from ..misfire import PAUSE
from ..pending import Occasion
from ..triggers.trigger import delay_of
from .backoff import Outages
from .dependents import Chains
from .due_heap import Agenda, Due
from .overlap import Turns

logger = get_logger("django_loco.scheduler")

#: A tick later than this is worth a warning.
LATE = timedelta(seconds=5)
#: When a single tick is offered again to a queue that answers, and yet does not take it.
REFUSED_RETRY = timedelta(seconds=10)


class Ready(NamedTuple):
    """A tick to be fired now."""

    entry: Entry
    due: Due
    """What was due."""

    fired: Due
    """What is fired for it: the same, or what is made up for."""


class Firing:
    """Fires ticks, those of a ``TASKS`` alias together. Used by one thread; what is public may be read from others."""

    def __init__(self) -> None:
        self.outages = Outages()
        self.turns = Turns(self.outages, self._fire_late)
        self.chains = Chains(self.outages, self.turns.waiting)
        self.last_tick: float | None = None
        """When a job was enqueued last (``time.monotonic()``); ``None``: not yet."""
        self.late = 0
        """How many ticks were fired later than ``LATE``."""

    def fire(self, agenda: Agenda, batch: Sequence[Due], now: datetime) -> None:
        """Enqueue the jobs of ticks that are due, one of each schedule; or put back those whose store is away."""
        ready: dict[str, list[Ready]] = defaultdict(list)
        for due in batch:
            entry = agenda.entries[due.position]
            if until := self.outages.wait_until(entry.task.backend, now):
                agenda.postpone(due, until)
            elif (fired := _caught_up(agenda, entry, due, now)) is not None:
                tick = Ready(entry, due, fired)
                if self._is_its_turn(agenda, tick, now):
                    ready[entry.task.backend].append(tick)
        for alias, together in ready.items():
            self._fire_together(agenda, alias, together, now)

    def advance(self, entry_of: Callable[[str], Entry | None], now: datetime) -> None:
        """Fire what waits, if its turn has come, and what runs after others; not what ``entry_of`` does not know."""
        self.chains.look(now)
        self.turns.advance(entry_of, now)

    @property
    def next_at(self) -> datetime | None:
        """When to ``advance`` next; ``None``: nothing waits."""
        return min(filter(None, (self.turns.waiting.next_at, self.chains.next_at)), default=None)

    def begin(self, now: datetime) -> None:
        """Begin anew: what waited for its turn was missed."""
        self.turns.begin(now)
        self.chains.forget()

    def retry_now(self, now: datetime) -> None:
        """Try all that waits: the clock was put back to ``now``, and when to try is not what it was."""
        self.outages.retry_now(now)
        self.turns.waiting.retry_now(now)
        self.chains.retry_now(now)

    def _is_its_turn(self, agenda: Agenda, ready: Ready, now: datetime) -> bool:
        """Whether to fire a tick at once; if not, the agenda goes on without it."""
        entry, tick = ready.entry, ready.fired.tick
        try:
            if self.turns.has_come(entry, entry.occasion(tick), now):
                return True
        except QueueError as error:
            self._postpone(agenda, entry.task.backend, [ready], error, now)
            return False
        except Exception:
            logger.exception("Schedule %r: the tick of %s could not be fired and is left out", entry.name, tick)
        agenda.follow(ready.fired, tick)
        return False

    def _fire_together(self, agenda: Agenda, alias: str, batch: Sequence[Ready], now: datetime) -> None:
        """Enqueue the jobs in one round trip. If one of them is at fault, the others are enqueued without it."""
        try:
            self._enqueue(batch, now)
        except QueueUnavailable as error:
            self._not_taken(agenda, alias, batch, error, now)
            return
        except Exception as error:
            if len(batch) > 1:
                for ready in batch:
                    self._fire_together(agenda, alias, [ready], now)
                return
            if isinstance(error, QueueError) and not isinstance(error, QueueRefused):
                self._postpone(agenda, alias, batch, error, now)
                return
            # Whatever is wrong with this one, the others have to run.
            name, tick = batch[0].entry.name, batch[0].fired.tick
            logger.exception("Schedule %r: the tick of %s could not be enqueued and is left out", name, tick)
        else:
            self.last_tick = time.monotonic()
            self.outages.end(alias)
        for ready in batch:
            agenda.follow(ready.fired, ready.fired.tick)

    def _not_taken(self, agenda: Agenda, alias: str, batch: Sequence[Ready], error: QueueError, now: datetime) -> None:
        """Wait for a store that is away; else offer the ticks in halves, and put back a single one that is refused."""
        backend: Any = batch[0].entry.task.get_backend()
        if not backend.queue.answers():
            self._postpone(agenda, alias, batch, error, now)
        elif len(batch) > 1:
            half = len(batch) // 2
            for part in (batch[:half], batch[half:]):
                self._fire_together(agenda, alias, part, now)
        else:
            name, tick = batch[0].entry.name, batch[0].fired.tick
            logger.warning("Schedule %r: the queue refuses the tick of %s: %s", name, tick, error)
            agenda.postpone(batch[0].due, now + REFUSED_RETRY)

    def _postpone(self, agenda: Agenda, alias: str, batch: Sequence[Ready], error: QueueError, now: datetime) -> None:
        until = self.outages.note(alias, error, now)
        for ready in batch:
            agenda.postpone(ready.due, until)

    def _fire_late(self, entry: Entry, occasion: Occasion) -> None:
        """Enqueue the job of what has waited for its turn."""
        backend: Any = entry.task.get_backend()
        backend.enqueue_ticks([_call(entry, occasion)])
        self.last_tick = time.monotonic()
        self.outages.end(entry.task.backend)

    def _enqueue(self, batch: Sequence[Ready], now: datetime) -> None:
        backend: Any = batch[0].entry.task.get_backend()
        results = backend.enqueue_ticks([_call(entry, entry.occasion(fired.tick)) for entry, _, fired in batch])
        for (entry, _, fired), result in zip(batch, results, strict=True):
            self._tell(entry, fired.tick, now, is_ours=result is not None)

    def _tell(self, entry: Entry, tick: datetime, now: datetime, *, is_ours: bool) -> None:
        if not is_ours:
            logger.debug("Schedule %r: another scheduler fired the tick of %s", entry.name, tick)
        elif now - tick > LATE:
            self.late += 1
            late = (now - tick).total_seconds()
            logger.warning("Schedule %r: the tick of %s was fired %.1f s late", entry.name, tick, late)
        else:
            logger.debug("Schedule %r: fired the tick of %s", entry.name, tick)


def _call(entry: Entry, occasion: Occasion) -> ScheduledCall:
    run_at = occasion.at + delay_of(occasion.key, entry.jitter)
    return ScheduledCall(entry.task, entry.args, entry.kwargs, occasion.key, run_at)


def _caught_up(agenda: Agenda, entry: Entry, due: Due, now: datetime) -> Due | None:
    """Return what is fired instead of a tick that was missed; ``None``: nothing is."""
    if due.rest is not None or now - due.tick <= PAUSE:
        return due
    ticks = entry.misfire.made_up(entry.trigger, due.tick, now)
    if not ticks:
        logger.warning("Schedule %r: what was due from %s on was missed and is left out", entry.name, due.tick)
        agenda.follow(due, now)
        return None
    return due._replace(tick=ticks[0], rest=tuple(ticks[1:]))
