"""The common parts of the tests of unique keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from ....core.job import READY, Job
from ....queues.base import Change
from ..case import ContractCase, failed, in_seconds

KEYS = ("a" * 64, "b" * 64, "c" * 64)


def until(seconds: float) -> str:
    """Return ``unique_until`` for ``seconds`` from now."""
    moment: datetime = in_seconds(seconds)
    return moment.isoformat(" ", "microseconds")


def cancelled(job: Job) -> Change:
    """Return the change that cancels a waiting job."""
    return Change(before=job, after=failed(job).applied())


def ready_again(job: Job) -> Change:
    """Return the change that makes a finished job wait again."""
    return Change(before=job, after=replace(job, status=READY, run_after=in_seconds(0), finished_at=None))


class UniqueCase(ContractCase):
    """Jobs with unique keys, and a method that tells whether a key is free."""

    def unique(self, unique_key: str = KEYS[0], **given: Any) -> Job:
        """Return a new job with a key."""
        return self.job(**{"unique_key": unique_key, "unique_until": "finished"} | given)

    def is_free(self, key: str = KEYS[0]) -> bool:
        """Return whether a job with ``key`` can be enqueued. The job is deleted again."""
        job = self.unique(key)
        stored = self.queue.enqueue([job])
        holder = self.queue.holders([key]).get(key)
        assert (holder is not None and holder.id == job.id) == bool(stored)
        if stored:
            assert self.queue.change([Change(before=self.stored(job), after=None)]) == set()
        return bool(stored)
