"""A job that this worker holds, and the decision on its outcome."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from ..core.compat import TaskError
from ..core.job import Job, Outcome
from ..core.job.waits import Wait
from ..core.threads.stray_forks import ForksEndHere, end_fork, forks
from ..log import tracing
from ..queues import Queue
from .execution.kept_log import KeptLog
from .fetching.closed_limits import ClosedLimits
from .step_call import StepCall

#: Completes "the job ..." in messages about a job that the queue no longer has.
IS_GONE = "is no longer in the queue (it was deleted, or the store was emptied or replaced)"


class Suspended(BaseException):
    """Ends a run whose job sleeps or waits. It is no ``Exception``, so that ``except Exception`` does not catch it."""

    def __init__(self, wait: Wait) -> None:
        super().__init__(f"the job {'waits for the signal' if wait.is_signal else 'sleeps at'} {wait.name!r:.100}")
        self.wait = wait

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.wait,), vars(self)


@dataclass(slots=True, eq=False)
class ClaimedJob:
    """A job that a worker holds, from its fetch until its outcome is stored.

    Several threads read it, and each attribute is written by only one of them. Two threads may decide on the outcome at
    the same moment; ``decide`` lets the first one win.
    """

    job: Job
    """The job as it was fetched, with the updates that were stored since."""

    stop: threading.Event | None = None
    """Set when the worker is to end."""

    update: Callable[[Job, str, str], bool] = lambda *_: True
    """``Queue.update``."""

    queue: Queue | None = None
    """The queue that the job comes from; ``None``: there is no queue, and so no signals."""

    closed_limits: ClosedLimits = field(default_factory=ClosedLimits)
    """The closed limits of the worker."""

    fetched_at: float = field(default_factory=time.monotonic)
    renewed_at: float = -math.inf
    """The time of the last renewal of its claim, by the heartbeat's clock."""

    started: bool = False
    """Whether a pool has begun to run it."""

    began_at: float | None = None
    """When its function was called (``time.monotonic()``, seconds); ``None``: not yet, or not at all."""

    duration: float | None = None
    """The seconds that its function ran; set when the function has ended."""

    thread: threading.Thread | None = None  # noqa: TID251 - none is made here
    """The thread that runs it."""

    outcome: Outcome | None = None
    """The outcome that was decided on, if it was known at once."""

    ended: bool = False
    """Whether its outcome is on its way to the queue."""

    released: bool = False
    """Whether the worker hands the job back to the queue and no longer waits for its end."""

    cancelled: TaskError | None = None
    """The error with which the job has failed in the queue, because somebody cancelled it while it runs here."""

    is_missing: bool = False
    """Whether the queue does not have the job any more."""

    import_error: TaskError | None = None
    """Why its task cannot be imported here; ``None`` if it can."""

    expired: bool = False
    """Whether its lease has run out, as far as this worker knows, so that another worker may have the claim."""

    refused: bool = False
    """Whether the queue refused an update or the outcome because another worker has the claim, or it was dropped."""

    valid_until: float = math.inf
    """The time (``time.monotonic()``) until which no other worker can have the claim; renewals extend it."""

    announcement: Callable[[], None] | None = None
    """Announces its end; called when the queue has accepted the outcome. ``None``: the end was announced."""

    span: Any = None
    """The OpenTelemetry span of the attempt; ``None``: it has not begun, or the project does not trace."""

    kept_log: KeptLog | None = None
    """The log of the run, if it is kept."""

    forks: int = field(default_factory=forks)
    """``core.threads.stray_forks`` in the process that has claimed it."""

    report: tuple[Any, ...] | None = None
    """The last progress that the job reported: see ``execution.context.progress``."""

    saved_report: tuple[Any, ...] | None = None
    """The last report that was stored, or that the queue will not take."""

    steps: dict[str, StepCall] = field(default_factory=dict)
    """The durable steps that this run has called, by name: see ``execution.steps``."""

    has_failed: bool = False
    """Whether its function has ended with an error; steps may still go on."""

    suspended: Suspended | None = None
    """The exception that has ended this run, because the job sleeps or waits."""

    timed_out: str = ""
    """The name of the signal that did not come in time, if the job fails because of it."""

    updating: threading.RLock = field(default_factory=threading.RLock)
    """Held while a field is stored: some queues store the other fields of ``job`` together with it."""

    # A lock that is acquired once and never released: the cheapest way to let one thread win.
    _decided: threading.Lock = field(default_factory=threading.Lock)

    def decide(self, outcome: Outcome | None = None) -> bool:
        """Decide on ``outcome``. Only the first caller gets ``True``: its outcome counts."""
        if not self._decided.acquire(blocking=False):
            return False
        self.outcome = outcome
        return True

    def store_update(self, field: str, text: str) -> bool:
        """Store a field that the run writes. Return whether the job is still held. Raises the queue's errors."""
        changes: dict[str, Any] = {field: text}
        with self.updating:
            is_held = self.update(self.job, field, text)
            if is_held:
                self.job = replace(self.job, **changes)
        return is_held

    def store_signals(self, text: str | None) -> bool:
        """Store the job's signals. Return ``False`` if it does not run, or if its stored signals have changed."""
        with self.updating:
            is_stored = self.queue is not None and self.queue.signal(self.job, text)
            if is_stored:
                self.job = replace(self.job, signals=text)
        return is_stored

    @property
    def is_forked(self) -> bool:
        """Whether this process is a fork of the one that runs the job."""
        return self.forks != forks()

    def end_fork(self, error: BaseException | None = None) -> None:
        """End this process if it is a fork that the job made. Cheaper than the block of ``forks_end``."""
        if self.forks != forks() and self.started:
            end_fork(error)

    def forks_end(self) -> AbstractContextManager[None]:
        """Return a context manager that ends a fork at its exit.

        Inside ``enqueue()`` forks return to the caller's code.
        """
        return ForksEndHere() if self.started else nullcontext()

    def with_log(self, outcome: Outcome) -> Outcome:
        """Return ``outcome`` with the log of the run, if the log is kept. Later lines are not added."""
        return outcome if self.kept_log is None else replace(outcome, log=self.kept_log.end())

    def end_span(self, outcome: Outcome, secrets: Sequence[str] = ()) -> None:
        """End the span of the attempt, without ``secrets``. Called by the thread that decided on ``outcome``."""
        if self.span is not None:
            tracing.end(self.span, outcome, is_cancelled=self.cancelled is not None, secrets=secrets)

    def outcome_or(self, otherwise: Outcome) -> Outcome | None:
        """Decide on ``otherwise`` and return it, unless an outcome was decided on: then return that outcome.

        ``None``: another thread has decided, and will report the outcome.
        """
        return otherwise if self.decide(otherwise) else self.outcome

    def was_replaced_by(self, outcome: Outcome) -> bool:
        """Whether the queue has stored ``outcome``, and its status differs from the outcome decided on here."""
        return self.outcome is not None and self.outcome.status != outcome.status

    @property
    def is_too_late(self) -> bool:
        """Whether the job has expired before it began: by the queue's clock at the claim, plus the time since then."""
        expires_at, claimed_at = self.job.expires_at, self.job.last_attempted_at
        if expires_at is None or claimed_at is None or self.job.is_known_to_have_begun:
            return False
        return claimed_at + timedelta(seconds=time.monotonic() - self.fetched_at) > expires_at

    @property
    def has_not_begun(self) -> bool:
        """Whether its function was not called. If the outcome is decided, it will not be called later either."""
        return self.began_at is None and not (self.started and self.released)

    @property
    def was_handed_back(self) -> bool:
        """Whether it had begun, and goes back to the queue because its worker has to end."""
        return self.started and self.released and not self.cancelled

    def replace(self, outcome: Outcome, error: TaskError) -> None:
        """Record that somebody cancelled the job with ``error``, so the queue did not accept ``outcome``."""
        self.outcome = self.outcome or outcome
        self.cancelled = error

    @property
    def is_alive(self) -> bool:
        """Whether it can still have an outcome: it waits for a thread, a live thread runs it, or it has ended."""
        return self.ended or not self.started or (self.thread is not None and self.thread.is_alive())

    @property
    def is_decided(self) -> bool:
        """Whether its outcome has been decided."""
        return self._decided.locked()

    @property
    def is_doubtful(self) -> bool:
        """Whether another worker may have the claim, so that only the queue can decide which outcome counts."""
        return not self.cancelled and (self.expired or self.refused or time.monotonic() > self.valid_until)

    @property
    def is_over(self) -> bool:
        """Whether its run no longer counts: it has ended or was given up, or another worker has the claim."""
        return bool(self.expired or self.released or self.cancelled or self.refused or self.is_decided)

    @property
    def stopping(self) -> bool:
        """Whether the job should end soon: the worker is stopping, or its run is over."""
        return self.is_over or bool(self.stop and self.stop.is_set())
