"""What becomes of a tick that is due: its job is enqueued, or it waits, or it is left out."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Any

from ..exceptions import QueueError
from .agenda import Agenda, Due
from .entries import Entry
from .misfire import PAUSE
from .outages import Outages

logger = logging.getLogger("django_loco.scheduler")

#: A tick later than this is worth a warning.
LATE = timedelta(seconds=5)


class Firing:
    """Fires one tick after the other. Used by one thread; what is public may be read from others."""

    def __init__(self) -> None:
        self.outages = Outages()
        self.last_tick: float | None = None
        """When a job was enqueued last (``time.monotonic()``); ``None``: not yet."""
        self.late = 0
        """How many ticks were fired later than ``LATE``."""

    def fire(self, agenda: Agenda, due: Due, now: datetime) -> None:
        """Enqueue the job of a tick that is due; or put the tick back while the store is away."""
        entry = agenda.entries[due.position]
        if until := self.outages.wait_until(entry.task.backend, now):
            agenda.postpone(due, until)
            return
        fired = _caught_up(agenda, entry, due, now)
        if fired is None:
            return
        try:
            self._enqueue(entry, fired.tick, now)
        except QueueError as error:
            agenda.postpone(due, self.outages.note(entry.task.backend, error, now))
            return
        except Exception:
            # Whatever is wrong with this one, the others have to run.
            logger.exception(
                "Schedule %r: the tick of %s could not be enqueued and is left out", entry.name, fired.tick
            )
        else:
            self.last_tick = time.monotonic()
            self.outages.end(entry.task.backend)
        agenda.follow(fired, fired.tick)

    def _enqueue(self, entry: Entry, tick: datetime, now: datetime) -> None:
        backend: Any = entry.task.get_backend()
        key, run_at = entry.key(tick), entry.run_at(tick)
        result = backend.enqueue_tick(entry.task, entry.args, entry.kwargs, key=key, tick=run_at)
        if result is None:
            logger.debug("Schedule %r: another scheduler fired the tick of %s", entry.name, tick)
        elif now - tick > LATE:
            self.late += 1
            late = (now - tick).total_seconds()
            logger.warning("Schedule %r: the tick of %s was fired %.1f s late", entry.name, tick, late)
        else:
            logger.debug("Schedule %r: fired the tick of %s", entry.name, tick)


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
