"""A job in the hands of this worker."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from ..core.compat import TaskError
from ..core.job import Job, Outcome


class ClaimedJob:
    """One job that a worker holds, from its fetch until its outcome is stored.

    Several threads look at it, and each attribute is written by one of them alone. What two may want to do at the
    same moment, to decide how the run ends, goes through ``settle``.
    """

    __slots__ = (
        "_decided",
        "_stop",
        "announcement",
        "cancelled",
        "ended",
        "fetched_at",
        "import_error",
        "job",
        "lost",
        "outcome",
        "refused",
        "renewed_at",
        "started",
        "thread",
        "update",
        "valid_until",
    )

    def __init__(
        self, job: Job, stop: threading.Event | None = None, update: Callable[[Job, str, str], bool] = lambda *_: True
    ) -> None:
        """``stop`` is set once the worker wants to end; ``update`` is ``Queue.update``."""
        self.job = job
        """The job as it was fetched, with what its run has written since."""
        self.update = update
        self.fetched_at = time.monotonic()
        self.renewed_at = -math.inf
        """When its claim was last renewed, by the heartbeat's clock."""
        self.started = False
        """Whether a pool has begun with it."""
        self.thread: threading.Thread | None = None  # noqa: TID251 - none is made here
        """The thread that is busy with it."""
        self.outcome: Outcome | None = None
        """What it was settled on, where that was known at once."""
        self.ended = False
        """Whether its outcome is on its way to the queue."""
        self.cancelled = False
        """Whether the worker has given up waiting for it: it goes back to the queue."""
        self.import_error: TaskError | None = None
        """Why its task cannot be imported here, if a pool found that."""
        self.lost = False
        """Whether the claim is, or may be, somebody else's by now."""
        self.refused = False
        """Whether an update or the outcome was refused, because the claim is somebody else's."""
        self.valid_until = math.inf
        """Until when the claim is nobody else's (``time.monotonic()``, seconds); moved on by each renewal."""
        self.announcement: Callable[[], None] | None = None
        """Tells of its end once the queue has accepted that; ``None``: it has been told."""
        self._stop = stop
        # A lock that is taken once and never given back: the cheapest question that only one thread gets a yes to.
        self._decided = threading.Lock()

    def settle(self, outcome: Outcome | None = None) -> bool:
        """Return ``True`` to the first caller only: its outcome is the one that counts."""
        if not self._decided.acquire(blocking=False):
            return False
        self.outcome = outcome
        return True

    def outcome_or(self, otherwise: Outcome) -> Outcome | None:
        """Return the outcome that whoever was busy with it leaves: ``otherwise``, if nothing has been decided yet.

        ``None``: somebody else has decided, and sees to the outcome.
        """
        return otherwise if self.settle(otherwise) else self.outcome

    def was_replaced_by(self, outcome: Outcome) -> bool:
        """Whether ``outcome``, which the queue has stored, is another end than the one that was decided on here."""
        return self.outcome is not None and self.outcome.status != outcome.status

    @property
    def is_alive(self) -> bool:
        """Whether it will come to an end: it waits for a thread, a thread is busy with it, or its outcome is known."""
        return self.ended or not self.started or (self.thread is not None and self.thread.is_alive())

    @property
    def is_settled(self) -> bool:
        """Whether its outcome has been decided."""
        return self._decided.locked()

    @property
    def is_doubtful(self) -> bool:
        """Whether the claim may be somebody else's, so that the queue alone knows whose outcome counts."""
        return self.lost or self.refused or time.monotonic() > self.valid_until

    @property
    def stopping(self) -> bool:
        """Whether the job had better end soon: the worker is stopping, or the job is no longer this worker's."""
        return self.lost or self.cancelled or self.refused or (self._stop is not None and self._stop.is_set())
