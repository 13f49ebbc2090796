"""Where the threads of the pools leave outcomes for the fetcher."""

from __future__ import annotations

import threading
from collections import deque

from ..core.job import Outcome
from .claimed_job import Run


class Finished:
    """Outcomes in the order in which they came, and the bell that wakes the fetcher."""

    def __init__(self) -> None:
        self.bell = threading.Event()
        """Set by whatever the fetcher should look into."""
        self._items: deque[tuple[Run, Outcome]] = deque()

    def add(self, run: Run, outcome: Outcome) -> None:
        """Leave an outcome, the first one of a run. Called for every job: no lock unless the fetcher is asleep."""
        if run.ended:
            return
        self._items.append((run, outcome))
        run.ended = True
        if not self.bell.is_set():
            self.bell.set()

    def take(self) -> list[tuple[Run, Outcome]]:
        """Take what is there."""
        return [self._items.popleft() for _ in range(len(self._items))]
