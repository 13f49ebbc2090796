"""The jobs that a draining worker leaves in the queue because they wait for limits."""

from __future__ import annotations

import math

from ...jobs.control.limits import seconds_until_open
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...queues import Claim, Queue

logger = get_logger("django_loco.worker")

#: The longest time that a draining worker waits for a limit that opens by itself, without the end of a job.
DRAIN_WAIT_SECONDS = 60.0
#: How many limit keys the log line about the jobs left behind names.
NAMED = 5


class Leftovers:
    """The jobs that wait for limits when a worker that drains has nothing else to do.

    The worker waits for jobs that may begin when other workers' jobs have ended, or within ``DRAIN_WAIT_SECONDS``.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._left: dict[str, int] = {}
        self._seconds: dict[str, float] = {}

    def are_worth_a_wait(self, claim: Claim) -> bool:
        """Return whether one of the jobs that ``claim`` asks for may begin soon. Asks the queue."""
        self._left = dict(self._queue.limited_waiting(claim))
        self._seconds = dict(seconds_until_open(self._queue, self._left.keys())) if self._left else {}
        return any(seconds <= DRAIN_WAIT_SECONDS for seconds in self._seconds.values())

    def log(self) -> None:
        """Log which jobs are left, by the last answer of the queue, and why."""
        if not self._left:
            return
        parts = [
            f"{number} of {one_line(key)} for {math.ceil(self._seconds[key])} s more"
            for key, number in sorted(self._left.items(), key=lambda item: self._seconds[item[0]])
        ]
        more = [f"{len(parts) - NAMED} other keys"] if len(parts) > NAMED else []
        text = "The queue is drained, except for jobs that wait for limits which open in more than %.0f s: %s"
        logger.warning(text, DRAIN_WAIT_SECONDS, ", ".join(parts[:NAMED] + more))
