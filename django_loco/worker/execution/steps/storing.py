"""Retries the writes of a step while the store cannot be reached, for instance because it restarts.

The function of the step has been called by then, and would be called once more in the next run. So the worker tries
for as long as the outage lasts, as it does with the outcome of a job. Each of these calls may be repeated: it writes a
whole field, only if the worker holds the job. If another worker has it, the call raises ``Interrupted``.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from asgiref.sync import sync_to_async

from ....core.backoff import exponential_delay
from ....exceptions import Interrupted, QueueUnavailable
from ....log.safe import get_logger
from ...claimed_job import ClaimedJob

logger = get_logger("django_loco.worker")

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 1.0

T = TypeVar("T")


def retried(claimed: ClaimedJob, call: Callable[[], T]) -> T:
    """Return what ``call`` returns. Raises what it raises, and ``Interrupted`` if the run ends during an outage."""
    for failures, pause in enumerate(_pauses(claimed)):
        try:
            return call()
        except QueueUnavailable as error:
            _tell(claimed, failures, error)
        time.sleep(pause)
    with _last_try(claimed):
        return call()


async def aretried(claimed: ClaimedJob, call: Callable[[], T]) -> T:
    """``retried`` for async jobs: ``call`` runs in the thread that makes the job's queries."""
    acall = sync_to_async(call)
    for failures, pause in enumerate(_pauses(claimed)):
        try:
            return await acall()
        except QueueUnavailable as error:
            _tell(claimed, failures, error)
        await asyncio.sleep(pause)
    with _last_try(claimed):
        return await acall()


def _pauses(claimed: ClaimedJob) -> Iterator[float]:
    """Yield the seconds to wait if the next try fails, until the run is known to be over.

    After a whole lease without the store another worker may have the job, but only the store knows.
    """
    failures = 0
    while _is_claimed(claimed):
        if claimed.released or claimed.cancelled or claimed.refused or claimed.is_decided:
            return
        failures += 1
        yield exponential_delay(failures, first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS)


def _is_claimed(claimed: ClaimedJob) -> bool:
    """Whether a worker has claimed the job, which does not run inside ``enqueue()``."""
    return claimed.valid_until < math.inf


@contextmanager
def _last_try(claimed: ClaimedJob) -> Iterator[None]:
    """End the run without spending an attempt: the job has done nothing wrong."""
    try:
        yield
    except QueueUnavailable as error:
        if not _is_claimed(claimed):
            raise
        raise Interrupted(f"{claimed.job.task_path}: a step could not be stored before the run ended.") from error


def _tell(claimed: ClaimedJob, failures: int, error: QueueUnavailable) -> None:
    if not failures:  # logged once
        logger.warning("%s: a step cannot be stored now, and is tried again: %s", claimed.job.task_path, error)
