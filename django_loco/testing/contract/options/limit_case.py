"""The common parts of the tests of limits."""

from __future__ import annotations

from typing import Any

from ....core.job import Job
from ....core.job.limits import Limit, Limits
from ..case import ContractCase

LIMITS: Limits = {
    "api": Limit(concurrency=2),
    "db": Limit(concurrency=3),
    "slow": Limit(rate="2/h", burst=2),
    "steady": Limit(rate="1/d"),
    "wide": Limit(concurrency=10_000, rate="1000000/s", burst=10_000),
}
HOUR = 3_600_000_000


class LimitCase(ContractCase):
    """Short methods for jobs that obey limits."""

    def taken(self, **given: Any) -> list[Job]:
        """Fetch as a worker that knows ``LIMITS``."""
        return self.fetch(**{"limits": LIMITS} | given)

    def limited(self, limit_key: str, number: int, **given: Any) -> list[Job]:
        """Store jobs with a limit key."""
        return self.queue.enqueue([self.job(limit_key=limit_key, **given) for _ in range(number)])


def key_of(jobs: list[Job]) -> list[str | None]:
    """Return the limit keys of ``jobs``."""
    return [job.limit_key for job in jobs]
