"""Stores the outcomes of jobs, or keeps them until the queue has taken them.

One bad outcome is not an outage
--------------------------------
When a call fails, the store may be away, or the call may contain an outcome that the store can never take. The error
does not tell which: Redis closes the connection when a value is too large for it, PostgreSQL cancels a statement that
takes too long. So right after a failure the queue is asked for the smallest possible write (a *probe*).

1. If the probe fails, too, there is an outage. All outcomes are kept, and the error is raised.
2. If the probe succeeds, the batch is split in two and each half is offered by itself, down to single outcomes. Other
   outcomes are stored and jobs are fetched in between. If the call failed slowly (a lock, a time limit), the batch is
   split into single outcomes at once, because each further failure would be as slow.
3. A single outcome that was refused ``MAX_TRIES`` times is replaced by a short one, see ``substitute``. An outcome that
   is small and was refused slowly is not replaced: the store had to wait for something.
4. If the queue refuses that, too, size is not the reason. The outcome waits and is offered again at growing intervals.
   It is dropped only if the queue raises another error than ``QueueUnavailable``: then its claim runs out, and the job
   is run again, as often as a lost job is.

A lock is no refusal
--------------------
If another transaction has signalled or cancelled a job, the job stays locked until that transaction ends. A queue that
detects this stores the other outcomes and names the locked jobs (``JobsLocked``). Their outcomes are offered again
together, at intervals of ``pending_outcome.MAX_LOCKED_SECONDS`` at most, for as long as it takes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from ...core.job import FAILED, Job, Outcome
from ...exceptions import JobsLocked, QueueUnavailable
from ...jobs.states import cancellation_of
from ...log import sentry
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...queues import Claim, Queue
from ..claimed_job import IS_GONE, ClaimedJob
from .pending_outcome import PendingOutcome
from .substitute import substitute_for

logger = get_logger("django_loco.worker")

#: The number of refusals after which a single outcome is replaced.
MAX_TRIES = 5
#: After this many offers of an outcome whose job is locked, the lock is logged.
LOCKED_TRIES = 6
#: The number of bytes that are sent in one call, unless one outcome alone is larger. Halved when a batch is refused.
BATCH_SIZE, MIN_BATCH_SIZE = 8 * 2**20, 64 * 2**10
#: With this many refused outcomes no more jobs are fetched, so that outcomes do not fill the memory.
MAX_ASIDE = 100
#: After a failure that took longer than this, no further batch is offered in the same turn.
SLOW_SECONDS = 1.0


class Acknowledger:
    """Keeps outcomes until the queue has taken them. For the fetcher's thread alone."""

    def __init__(
        self, queue: Queue, on_gone: Callable[[ClaimedJob, Outcome], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``on_gone`` is called with each outcome that was stored, refused as too late, or dropped."""
        self._queue = queue
        self._on_gone = on_gone
        self._clock = clock
        self._fresh: list[PendingOutcome] = []
        self._refused: list[list[PendingOutcome]] = []
        """The parts of batches that were refused, or whose jobs are locked; each is offered by itself."""
        self._batch_size = BATCH_SIZE
        self.refused = 0
        """How many outcomes came too late. Another worker may have run these jobs as well."""

    def __len__(self) -> int:
        """Return the number of outcomes that are not stored yet."""
        return len(self._fresh) + sum(map(len, self._refused))

    def add(self, claimed: ClaimedJob, outcome: Outcome) -> None:
        """Take an outcome."""
        if not outcome.spent and claimed.has_not_begun:
            outcome = outcome.not_begun()
        self._fresh.append(PendingOutcome(claimed, claimed.with_log(outcome)))

    @property
    def max_wait(self) -> float:
        """Seconds until a refused outcome is offered again; infinite if there is none."""
        first = min((batch[0].not_before for batch in self._refused), default=math.inf)
        return max(0.0, first - self._clock())

    def flush(self) -> None:
        """Offer all outcomes that are due. In an outage, keep them and raise the queue's error."""
        now = self._clock()
        due = [batch for batch in self._refused if batch[0].not_before <= now]
        for batch in [*due, *self._batches()]:
            if self._offer(batch) > SLOW_SECONDS:
                break
        self._limit_refused()

    def exchange(self, claim: Claim) -> Sequence[Job]:
        """``flush`` and fetch, in one call to the queue if possible. Raises the same errors as ``flush``."""
        batch = next(self._batches(), [])
        if self._refused or not batch or len(batch) < len(self._fresh):
            self.flush()
            return self._queue.fetch(claim)
        began = self._clock()
        try:
            with _doubt(batch):
                outcomes = [pending.outcome for pending in batch]
                return self._queue.exchange(outcomes, claim, lambda refused: self._stored(batch, refused))
        except JobsLocked as error:
            self._keep_locked(batch, error)
            return self._queue.fetch(claim)
        except Exception as error:
            seconds = self._clock() - began
            if not self._fresh or not self._queue.answers():  # only the fetch failed; or an outage
                raise
            self._split(batch, error, seconds)
            return self._queue.fetch(claim)

    def _batches(self) -> Iterator[list[PendingOutcome]]:
        """Yield batches of the outcomes that were never offered.

        A batch has up to ``_batch_size`` bytes, or one outcome.
        """
        batch: list[PendingOutcome] = []
        total = 0
        for pending in self._fresh:
            size = pending.outcome.size
            if total + size > self._batch_size and batch:
                yield batch
                batch, total = [], 0
            batch.append(pending)
            total += size
        if batch:
            yield batch

    def _offer(self, batch: list[PendingOutcome]) -> float:
        """Offer ``batch``; return the seconds that a refusal took, or 0. Raises in an outage."""
        began = self._clock()
        try:
            self._store(batch)
        except JobsLocked as error:
            self._keep_locked(batch, error)
        except Exception as error:
            seconds = self._clock() - began
            if not self._queue.answers():
                raise
            self._split(batch, error, seconds)
            return seconds
        return 0.0

    def _split(self, batch: list[PendingOutcome], error: Exception, seconds: float) -> None:
        """Split ``batch`` into parts that are offered by themselves. The queue took ``seconds`` to refuse it."""
        self._forget(batch)
        if len(batch) == 1:
            self._set_aside(batch[0], error, seconds)
            return
        logger.info(
            "A call with %d outcomes failed, though the queue answers; they are sent in parts: %s", len(batch), error
        )
        size = sum(pending.outcome.size for pending in batch)
        self._batch_size = max(MIN_BATCH_SIZE, min(self._batch_size, size // 2))
        step = 1 if seconds > SLOW_SECONDS else (len(batch) + 1) // 2
        self._refused += [batch[first : first + step] for first in range(0, len(batch), step)]

    def _keep_locked(self, batch: Sequence[PendingOutcome], error: JobsLocked) -> None:
        """Keep the outcomes of jobs that somebody else has locked. The other outcomes of ``batch`` are stored."""
        locked = [pending for pending in batch if pending.claimed.job.id in error.locked]
        self._note_all_refused(batch, error.refused)
        self._forget(batch)
        if locked:
            self._refused.append(locked)
        for pending in batch:
            if pending.claimed.job.id in error.locked:
                pending.locked(error, self._clock)
            else:
                self._on_gone(pending.claimed, pending.outcome)
        if locked and locked[0].times_locked == LOCKED_TRIES:
            more = f" and {len(locked) - 1} more" if len(locked) > 1 else ""
            logger.warning("The outcome of %s%s waits; other jobs go on: %s", locked[0].name, more, error)

    def _set_aside(self, pending: PendingOutcome, error: Exception, seconds: float) -> None:
        pending.refused(error, self._clock)
        self._refused.append([pending])
        if pending.tries == 2:  # noqa: PLR2004 - the first failure may be a lost connection
            logger.warning(
                "The outcome of %s, %s bytes, cannot be stored for now; other jobs go on: %s",
                pending.name,
                f"{pending.outcome.size:,}",
                error,
            )
        elif pending.tries >= MAX_TRIES:
            self._replace(pending, may_be_too_large=seconds <= SLOW_SECONDS or pending.outcome.size >= MIN_BATCH_SIZE)

    def _replace(self, pending: PendingOutcome, *, may_be_too_large: bool) -> None:
        whole, short = pending.outcome, substitute_for(pending.outcome, pending.error)
        if may_be_too_large and short.size < whole.size:
            pending.outcome = short
            try:
                refused = self._store([pending])
            except Exception as error:  # noqa: BLE001 - so the size was not the reason
                pending.outcome, pending.error = whole, error
            else:
                if not refused and short.error is not None:
                    with sentry.without_event():
                        logger.error("The outcome of %s is replaced. %s", pending.name, short.error.traceback.strip())
                return
        if not isinstance(pending.error, QueueUnavailable):
            logger.error("The outcome of %s cannot be stored and is dropped", pending.name, exc_info=pending.error)
            pending.claimed.announcement = None
            pending.claimed.refused = True
            self._remove([pending])

    def _limit_refused(self) -> None:
        aside = [batch[0] for batch in self._refused if batch[0].tries]
        if len(aside) >= MAX_ASIDE and (error := aside[-1].error):
            raise error

    def _store(self, batch: Sequence[PendingOutcome]) -> set[str]:
        with _doubt(batch):
            refused = self._queue.finish([pending.outcome for pending in batch])
        self._stored(batch, refused)
        return refused

    def _stored(self, batch: Sequence[PendingOutcome], refused: Collection[str]) -> None:
        self._note_all_refused(batch, refused)
        self._remove(batch)

    def _note_all_refused(self, batch: Sequence[PendingOutcome], refused: Collection[str]) -> None:
        if not refused:
            return
        for pending in batch:
            if pending.claimed.job.id in refused:
                self._note_refused(pending)

    def _note_refused(self, pending: PendingOutcome) -> None:
        """Find out why the queue has refused an outcome."""
        claimed = pending.claimed
        try:
            stored = self._queue.get(claimed.job.id)
        except QueueUnavailable as error:
            logger.warning("Cannot find out why the outcome of %s was refused: %s", pending.name, error)
            reason = pending.reason
            stored = None
        else:
            reason = pending.reason if stored else f"it {IS_GONE}"
        if pending.is_unsure and pending.is_stored_as(stored):
            return  # an earlier call has stored it, but its answer was lost
        if cancellation := claimed.cancelled or cancellation_of(stored):
            if not claimed.cancelled:  # a cancellation is logged elsewhere
                logger.info("Job %s (%s) was cancelled", claimed.job.id, one_line(claimed.job.task_path))
            claimed.replace(pending.outcome, cancellation)
            pending.outcome = Outcome(job=claimed.job, status=FAILED, error=cancellation)
            return
        claimed.refused = True
        self.refused += 1
        logger.warning("The outcome of %s came too late: %s", pending.name, reason)

    def _remove(self, batch: Sequence[PendingOutcome]) -> None:
        self._forget(batch)
        for pending in batch:
            self._on_gone(pending.claimed, pending.outcome)

    def _forget(self, batch: Sequence[PendingOutcome]) -> None:
        if len(batch) == len(self._fresh) and not self._refused:  # usually the batch has all outcomes
            self._fresh = []
            return
        gone = set(batch)
        self._fresh = [pending for pending in self._fresh if pending not in gone]
        self._refused = [other for other in self._refused if other[0] not in gone]


@contextmanager
def _doubt(batch: Sequence[PendingOutcome]) -> Iterator[None]:
    """Mark the outcomes as unsure if the queue could not be reached: it may have stored them all the same."""
    try:
        yield
    except JobsLocked:
        raise
    except QueueUnavailable:
        for pending in batch:
            pending.is_unsure = True
        raise
