"""Frees jobs of dead workers in a database, and none if its clock may have leapt."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from django.db import OperationalError
from django.db.transaction import atomic

from ....core.job import Job, Outcome
from ..availability import is_conflict
from ..dialect import Dialect
from ..shown_rows import shown_job_of
from ..sql.statements import FINISH_EXPIRED

#: The time that a rescue may wait for its turn to write, or by which the wall clock may jump meanwhile. After a longer
#: time it frees nothing: the heartbeats of live workers have waited as long, so their jobs may seem expired.
MAX_DELAY_SECONDS = 0.5


class SeenClocks(threading.local):
    """The clocks of this machine when the calling thread last asked for the time of the queue."""

    _last: tuple[float, float] | None = None

    def note(self) -> None:
        """Read the clocks."""
        self._last = time.monotonic(), time.time()

    def take(self) -> tuple[float, float] | None:
        """Return, once, the monotonic clock and the wall clock as they were; ``None`` if the thread has not asked."""
        last, self._last = self._last, None
        return last


def rescue(dialect: Dialect, limit: int, seen: SeenClocks) -> Sequence[Job]:
    """Free up to ``limit`` jobs whose lease has run out; return them as freed."""
    if not dialect.expired(1):  # this reads only an index; a transaction would cost more
        return ()
    try:
        return _rescue(dialect, limit, seen)
    except OperationalError as error:
        if is_conflict(error):
            return ()  # other processes rescue them
        raise


def _rescue(dialect: Dialect, limit: int, seen: SeenClocks) -> Sequence[Job]:
    began = time.monotonic()
    # A caller that has asked for the time before knows that the clock had not leapt until then.
    looked, clock = seen.take() or (began, time.time())
    with atomic(using=dialect.database, savepoint=False):
        if time.monotonic() - began > MAX_DELAY_SECONDS:
            return ()
        # However long this takes: a job whose lease is renewed meanwhile is not finished below.
        outcomes = [Outcome.of_dead_worker(shown_job_of(row)) for row in dialect.expired(limit)]
        if abs(time.time() - clock - (time.monotonic() - looked)) > MAX_DELAY_SECONDS:
            return ()
        freed = dialect.finish(outcomes, FINISH_EXPIRED)
    return [outcome.applied() for outcome in outcomes if outcome.job.id in freed]
