"""Where the pools leave the outcomes of jobs for the fetcher."""

from __future__ import annotations

import threading
from collections import deque

from ...core.job import Outcome
from ..claimed_job import ClaimedJob


class OutcomeInbox:
    """Outcomes in the order in which they came, and the event that wakes the fetcher."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        """Set when there is something for the fetcher to do."""
        self._items: deque[tuple[ClaimedJob, Outcome]] = deque()

    def add(self, claimed: ClaimedJob, outcome: Outcome) -> None:
        """Add an outcome, unless the job has one.

        Each job calls this: it takes no lock unless the fetcher is asleep.
        """
        if claimed.ended:
            return
        self._items.append((claimed, outcome))
        claimed.ended = True
        if not self.wake.is_set():
            self.wake.set()

    def take(self) -> list[tuple[ClaimedJob, Outcome]]:
        """Remove and return all outcomes."""
        return [self._items.popleft() for _ in range(len(self._items))]
