"""Outcomes on their way to the queue."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..exceptions import QueueUnavailable
from ..job import Job, Outcome
from ..queues import Claim, Queue
from .run import Run

logger = logging.getLogger("django_loco.worker")

#: How often an outcome that the queue, being there, does not take is offered to it.
MAX_TRIES = 5


class Outbox:
    """Keeps outcomes until the queue has taken them; used by the fetcher's thread alone.

    It cannot grow without end: until then their jobs take up room in the pools.
    """

    def __init__(self, queue: Queue, on_gone: Callable[[Run, Outcome], None]) -> None:
        """``on_gone`` is called with what is off the worker's hands: stored, refused or dropped."""
        self._queue = queue
        self._on_gone = on_gone
        self._waiting: list[Parcel] = []
        self._one_by_one = False

    def __len__(self) -> int:
        """How many outcomes wait."""
        return len(self._waiting)

    def add(self, run: Run, outcome: Outcome) -> None:
        """Take an outcome."""
        self._waiting.append(Parcel(run, outcome))

    def flush(self) -> None:
        """Store what waits in one call. Raises what the queue raises; what is not stored then waits on.

        If the queue is there and yet does not take them, one of them may be at fault. They are offered one by one
        then, and such a one is dropped after ``MAX_TRIES``, rather than hold up all others for ever. Its claim runs
        out, and the job is run anew, as often as a lost one is.
        """
        if self._one_by_one:
            self._flush_one_by_one()
        elif self._waiting:
            self._flush_together()

    def exchange(self, claim: Claim) -> Sequence[Job]:
        """``flush`` and fetch, in one call to the queue. Raises as ``flush`` does."""
        parcels = self._waiting
        if self._one_by_one or not parcels:
            self.flush()
            return self._queue.fetch(claim)
        with self._suspicion(), _doubt(parcels):
            outcomes = [parcel.outcome for parcel in parcels]
            return self._queue.exchange(outcomes, claim, lambda refused: self._stored(parcels, refused))

    def _flush_together(self) -> None:
        with self._suspicion():
            self._store(self._waiting)

    @contextmanager
    def _suspicion(self) -> Iterator[None]:
        try:
            yield
        except QueueUnavailable:
            raise
        except Exception:
            self._one_by_one = True
            raise

    def _flush_one_by_one(self) -> None:
        failures = [error for parcel in tuple(self._waiting) if (error := self._try(parcel)) is not None]
        if failures:
            raise failures[-1]
        self._one_by_one = False

    def _try(self, parcel: Parcel) -> Exception | None:
        try:
            self._store([parcel])
        except QueueUnavailable:
            raise
        except Exception as error:
            parcel.tries += 1
            if parcel.tries >= MAX_TRIES:
                logger.exception("The outcome of %s cannot be stored and is dropped", parcel.name)
                self._remove([parcel])
            return error
        return None

    def _store(self, parcels: Sequence[Parcel]) -> None:
        with _doubt(parcels):
            refused = self._queue.finish([parcel.outcome for parcel in parcels])
        self._stored(parcels, refused)

    def _stored(self, parcels: Sequence[Parcel], refused: set[str]) -> None:
        for parcel in parcels if refused else ():
            if parcel.run.job.id in refused:
                logger.warning("The outcome of %s came too late: %s", parcel.name, parcel.reason)
        self._remove(parcels)

    def _remove(self, parcels: Sequence[Parcel]) -> None:
        gone = set(parcels)
        self._waiting = [parcel for parcel in self._waiting if parcel not in gone]
        for parcel in parcels:
            self._on_gone(parcel.run, parcel.outcome)


@contextmanager
def _doubt(parcels: Sequence[Parcel]) -> Iterator[None]:
    """A queue that could not be reached may have stored them all the same."""
    try:
        yield
    except QueueUnavailable:
        for parcel in parcels:
            parcel.is_unsure = True
        raise


class Parcel:
    """An outcome that waits, and how often it was offered in vain."""

    __slots__ = ("is_unsure", "outcome", "run", "tries")

    def __init__(self, run: Run, outcome: Outcome) -> None:
        self.run = run
        self.outcome = outcome
        self.tries = 0
        self.is_unsure = False
        """Whether it was offered and there was no answer."""

    @property
    def name(self) -> str:
        """The job in words."""
        return f"job {self.run.job.id} ({self.run.job.task_path})"

    @property
    def reason(self) -> str:
        """Why it was refused, in words."""
        if self.is_unsure:
            return "it was stored when it was offered before, or its claim was lost meanwhile"
        return "its claim was lost meanwhile"
