"""The request of a worker for jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ..conf import loco_settings
from ..core.job.ageing import rank
from ..core.job.limits import Limits, limits_of


def declared_limits() -> Limits:
    """Return the limits that ``LOCO["LIMITS"]`` declares."""
    return limits_of(loco_settings().LIMITS)


def declared_ageing() -> float | None:
    """Return ``LOCO["AGEING"]``."""
    return loco_settings().AGEING


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The jobs that a worker asks for in one ``fetch``."""

    worker_id: str
    lease: float
    """Seconds that the claim is valid unless renewed."""

    threads: int = 0
    """The maximum number of sync jobs."""

    coroutines: int = 0
    """The maximum number of async jobs."""

    queues: tuple[str, ...] | None = None
    """The queues to take jobs from; ``None``: all."""

    tags: tuple[str, ...] | None = None
    """``None``: jobs with any tags; ``()``: only jobs without tags; otherwise only jobs with one of these."""

    ahead: float = 0
    """Jobs that become due within this many seconds count as due. Only tests use it, with queues in memory and in a
    database."""

    limits: Limits = field(default_factory=declared_limits, repr=False, hash=False)
    """By default the limits in ``LOCO["LIMITS"]``. Jobs of another limit are not limited."""

    ageing: float | None = field(default_factory=declared_ageing)
    """Seconds of waiting that raise a priority by one, by default ``LOCO["AGEING"]``; ``None``: nothing does."""

    suspects: bool | None = None
    """``None``: suspects (``Job.is_suspect``) like any other job; ``False``: no suspects; ``True``: one suspect,
    sync or async, and no other job."""

    nonce: str = field(default="", repr=False, compare=False)
    """The beginning of the tokens of jobs in a database. All tries of a fetch have the same until one is answered."""

    def rank(self, priority: int, due_at: datetime) -> tuple[int, datetime]:
        """Return a sort key: the job with the lowest one is handed over first; with equal ones, by the lowest id."""
        return rank(priority, due_at, self.ageing)
