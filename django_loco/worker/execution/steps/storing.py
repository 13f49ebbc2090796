"""Repeats what a step stores while the store cannot be reached, for instance because it restarts.

The function of the step may have been called by then, and would be called once more in the next run. Each of these
calls may be repeated: it writes a whole field, only if the worker holds the job.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from asgiref.sync import sync_to_async

from ....core.backoff import exponential_delay
from ....exceptions import QueueUnavailable
from ....log.safe import get_logger
from ...claimed_job import ClaimedJob

logger = get_logger("django_loco.worker")

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 1.0

T = TypeVar("T")


def retried(claimed: ClaimedJob, call: Callable[[], T]) -> T:
    """Return what ``call`` returns. Raises what it raises; ``QueueUnavailable`` when the claim may have ended."""
    for failures, pause in enumerate(_pauses(claimed)):
        try:
            return call()
        except QueueUnavailable as error:
            _tell(claimed, failures, error)
        time.sleep(pause)
    return call()


async def aretried(claimed: ClaimedJob, call: Callable[[], T]) -> T:
    """``retried`` for async jobs: ``call`` is made in the thread for the queries of the job."""
    acall = sync_to_async(call)
    for failures, pause in enumerate(_pauses(claimed)):
        try:
            return await acall()
        except QueueUnavailable as error:
            _tell(claimed, failures, error)
        await asyncio.sleep(pause)
    return await acall()


def _pauses(claimed: ClaimedJob) -> Iterator[float]:
    """Yield the seconds to wait if the next try fails, as long as no other worker can have the job after them.

    A worker that stops lets its jobs go on for a while, so this does, too, until the job is handed back.
    """
    failures = 0
    while True:
        failures += 1
        pause = exponential_delay(failures, first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS)
        if claimed.released or claimed.cancelled or claimed.is_doubtful:
            return
        if not time.monotonic() + pause < claimed.valid_until < math.inf:  # without an end: nobody renews the claim
            return
        yield pause


def _tell(claimed: ClaimedJob, failures: int, error: QueueUnavailable) -> None:
    if not failures:  # once is enough
        logger.warning("%s: a step cannot be stored now, and is tried again: %s", claimed.job.task_path, error)
