"""An outcome that is not stored yet, and how often the queue has refused it."""

from __future__ import annotations

from collections.abc import Callable

from ...core.backoff import Backoff
from ...core.job import Job, Outcome
from ...exceptions import JobsLocked
from ...log.plain_text import one_line
from ..claimed_job import ClaimedJob
from ..maintenance.unanswered import ROUNDING

#: The time between two tries of a single outcome doubles from the first to the longest.
FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 0.1, 30.0
#: The same for an outcome whose job is locked. The lease of such a job cannot be renewed. When the lock is gone, the
#: outcome should arrive before another worker rescues the job.
FIRST_LOCKED_SECONDS, MAX_LOCKED_SECONDS = 0.05, 0.5


class PendingOutcome:
    """An outcome that is not stored yet, and its refusals."""

    __slots__ = ("_backoff", "_lock_backoff", "claimed", "error", "is_unsure", "outcome")

    def __init__(self, claimed: ClaimedJob, outcome: Outcome) -> None:
        self.claimed = claimed
        self.outcome = outcome
        self.error: Exception | None = None
        """The last error of the queue when this outcome was offered alone."""
        self._backoff: Backoff | None = None
        self._lock_backoff: Backoff | None = None
        self.is_unsure = False
        """Whether a call with this outcome had no answer."""

    def refused(self, error: Exception, clock: Callable[[], float]) -> None:
        """Record that the queue has refused it alone."""
        if self._backoff is None:
            self._backoff = Backoff(FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS, spread=0.0, clock=clock)
        self._backoff.failed(error)
        self.error = error

    def locked(self, error: JobsLocked, clock: Callable[[], float]) -> None:
        """Record that somebody else has locked its job."""
        if self._lock_backoff is None:
            self._lock_backoff = Backoff(FIRST_LOCKED_SECONDS, MAX_LOCKED_SECONDS, spread=0.0, clock=clock)
        self._lock_backoff.failed(error)

    def is_stored_as(self, stored: Job | None) -> bool:
        """Whether ``stored``, the job in the queue, shows that an earlier call has stored this outcome.

        A job that was to run again may be running or have ended by now. If no loss was counted, nobody took the job
        from this worker before its outcome was stored.
        """
        ends = self.outcome.applied()
        if stored is None or ends.finished_at is None:
            return stored is not None and stored.lost == ends.lost
        if stored.finished_at is None:
            return False
        return stored.status == ends.status and abs(stored.finished_at - ends.finished_at) <= ROUNDING

    @property
    def tries(self) -> int:
        """The number of times that the queue has refused this outcome alone."""
        return self._backoff.failures if self._backoff else 0

    @property
    def times_locked(self) -> int:
        """The number of times that its job was locked when it was offered."""
        return self._lock_backoff.failures if self._lock_backoff else 0

    @property
    def not_before(self) -> float:
        """The time of the next offer, by the clock."""
        return max((each.retry_at for each in (self._backoff, self._lock_backoff) if each), default=0.0)

    @property
    def name(self) -> str:
        """The job, for the log."""
        return f"job {self.claimed.job.id} ({one_line(self.claimed.job.task_path)})"

    @property
    def reason(self) -> str:
        """Why it came too late, for the log."""
        if self.is_unsure:
            return "its claim was lost, before or after it was offered for the first time"
        return "its claim was lost meanwhile"
