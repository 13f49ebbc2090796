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
from ..core.threads.forks import ForksEndHere, end_fork, forks
from ..log import tracing
from ..queues import Queue
from .closed_limits import ClosedLimits
from .execution.kept_log import KeptLog
from .step_call import StepCall

#: What is said of a job that the queue does not have any more.
IS_MISSING = "is no longer in the queue (it was deleted, or the store was emptied or replaced)"


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
    """The queue that it is from; ``None``: it has none, and no signals."""

    closed_limits: ClosedLimits = field(default_factory=ClosedLimits)
    """Those of the worker."""

    fetched_at: float = field(default_factory=time.monotonic)
    renewed_at: float = -math.inf
    """The time of the last renewal of its claim, by the heartbeat's clock."""

    started: bool = False
    """Whether a pool has begun to run it."""

    began_at: float | None = None
    """When its function was called (``time.monotonic()``, seconds); ``None``: not yet, or not at all."""

    duration: float | None = None
    """The seconds that its function ran, once that has ended."""

    thread: threading.Thread | None = None  # noqa: TID251 - none is made here
    """The thread that runs it."""

    outcome: Outcome | None = None
    """The outcome that was decided on, if it was known at once."""

    ended: bool = False
    """Whether its outcome is on its way to the queue."""

    released: bool = False
    """Whether the worker no longer waits for it, and hands it back to the queue."""

    cancelled: TaskError | None = None
    """The error with which the job has failed in the queue, because somebody cancelled it while it runs here."""

    is_missing: bool = False
    """Whether the queue does not have the job any more."""

    import_error: TaskError | None = None
    """Why its task cannot be imported here, if that is so."""

    expired: bool = False
    """Whether its lease has run out, as far as this worker knows: another worker has, or may have, the claim."""

    refused: bool = False
    """Whether an update or the outcome was refused because another worker has the claim, or the outcome dropped."""

    valid_until: float = math.inf
    """The time (``time.monotonic()``) until which no other worker can have the claim; renewals extend it."""

    announcement: Callable[[], None] | None = None
    """Announces its end, to be called when the queue has accepted it; ``None``: it was announced."""

    span: Any = None
    """The OpenTelemetry span of the attempt; ``None``: it has not begun, or the project does not trace."""

    kept_log: KeptLog | None = None
    """The log of the run, if it is kept."""

    forks: int = field(default_factory=forks)
    """``core.threads.forks`` in the process that has claimed it."""

    report: tuple[Any, ...] | None = None
    """How far the job is, as it has said last: see ``execution.progress``."""

    saved_report: tuple[Any, ...] | None = None
    """The last report that is stored, or that cannot be."""

    steps: dict[str, StepCall] = field(default_factory=dict)
    """The calls of durable steps that this run has had, by their names: see ``execution.steps``."""

    has_failed: bool = False
    """Whether its function has ended with an error; steps may still go on."""

    suspended: Suspended | None = None
    """The exception that has ended this run, because the job sleeps or waits."""

    timed_out: str = ""
    """The name of the signal that has not come in time, if the job fails of that."""

    updating: threading.RLock = field(default_factory=threading.RLock)
    """Held while a field is stored: some queues store it together with the others of ``job``."""

    # A lock that is acquired once and never released: the cheapest way to let one thread win.
    _decided: threading.Lock = field(default_factory=threading.Lock)

    def decide(self, outcome: Outcome | None = None) -> bool:
        """Return ``True`` to the first caller only: its outcome counts."""
        if not self._decided.acquire(blocking=False):
            return False
        self.outcome = outcome
        return True

    def store_update(self, field: str, text: str) -> bool:
        """Store a field that a run writes; return whether the job is still held. Raises what the queue does."""
        changes: dict[str, Any] = {field: text}
        with self.updating:
            is_held = self.update(self.job, field, text)
            if is_held:
                self.job = replace(self.job, **changes)
        return is_held

    def store_signals(self, text: str | None) -> bool:
        """Store the signals of the job, if it runs and they are as known; return whether that was done."""
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
        """End this process if it is a fork, after a call of the job; ``forks_end`` without the cost of a block."""
        if self.forks != forks() and self.started:
            end_fork(error)

    def forks_end(self) -> AbstractContextManager[None]:
        """Return a block at whose end a fork ends. Inside ``enqueue()`` it goes on, with the code of the caller."""
        return ForksEndHere() if self.started else nullcontext()

    def with_log(self, outcome: Outcome) -> Outcome:
        """Return ``outcome`` with what the run has logged, if that is kept. After that nothing more is."""
        return outcome if self.kept_log is None else replace(outcome, log=self.kept_log.end())

    def end_span(self, outcome: Outcome, secrets: Sequence[str] = ()) -> None:
        """End the span of the attempt; for the thread that has decided on ``outcome``. ``secrets`` are not shown."""
        if self.span is not None:
            tracing.end(self.span, outcome, is_cancelled=self.cancelled is not None, secrets=secrets)

    def outcome_or(self, otherwise: Outcome) -> Outcome | None:
        """Return the outcome that was decided on; if there is none, decide on ``otherwise`` and return that.

        ``None``: another thread has decided, and will report the outcome.
        """
        return otherwise if self.decide(otherwise) else self.outcome

    def was_replaced_by(self, outcome: Outcome) -> bool:
        """Whether the queue has stored another end, ``outcome``, than the one that was decided on."""
        return self.outcome is not None and self.outcome.status != outcome.status

    @property
    def is_too_late(self) -> bool:
        """Whether the job has expired and has not begun, by the clock that its claim has noted and the time since."""
        expires_at, claimed_at = self.job.expires_at, self.job.last_attempted_at
        if expires_at is None or claimed_at is None or self.job.is_known_to_have_begun:
            return False
        return claimed_at + timedelta(seconds=time.monotonic() - self.fetched_at) > expires_at

    @property
    def has_not_begun(self) -> bool:
        """Whether its function was not called and will not be, once its outcome is decided."""
        return self.began_at is None and not (self.started and self.released)

    @property
    def was_handed_back(self) -> bool:
        """Whether it had begun, and goes back to the queue because its worker has to end."""
        return self.started and self.released and not self.cancelled

    def replace(self, outcome: Outcome, error: TaskError) -> None:
        """Take note that the queue has not taken ``outcome``, because somebody has cancelled the job with ``error``."""
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
        """Whether what its run still does is in vain: the run has ended or was given up, or the job is another's."""
        return bool(self.expired or self.released or self.cancelled or self.refused or self.is_decided)

    @property
    def stopping(self) -> bool:
        """Whether the job should end soon: the worker is stopping, or its run is over."""
        return self.is_over or bool(self.stop and self.stop.is_set())
