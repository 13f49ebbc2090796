"""Where the threads of the pools leave outcomes for the fetcher."""

from __future__ import annotations

import threading
from collections import deque

from ..core.job import Outcome
from .claimed_job import ClaimedJob


class OutcomeInbox:
    """Outcomes in the order in which they came, and the bell that wakes the fetcher."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        """Set by whatever the fetcher should look into."""
        self._items: deque[tuple[ClaimedJob, Outcome]] = deque()

    def add(self, claimed: ClaimedJob, outcome: Outcome) -> None:
        """Leave an outcome, the first one of a run. Called for every job: no lock unless the fetcher is asleep."""
        if claimed.ended:
            return
        self._items.append((claimed, outcome))
        claimed.ended = True
        if not self.wake.is_set():
            self.wake.set()

    def take(self) -> list[tuple[ClaimedJob, Outcome]]:
        """Take what is there."""
        return [self._items.popleft() for _ in range(len(self._items))]
