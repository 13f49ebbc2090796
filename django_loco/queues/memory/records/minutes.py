"""The statistics of a queue in memory. They end with the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from ...records.minutes import KEPT_MINUTES, TOTAL, Labels, Minute, Statistics, minute_of, totals_of


class MinuteTable:
    """The minutes of the last 14 days and the totals, by their labels."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minutes: dict[Labels, Minute] = {}
        self._last: dict[Labels, int] = {}
        """The last minute that each of these rows contains."""

    def add(self, minutes: Sequence[Minute]) -> None:
        """Add ``minutes``."""
        with self._lock:
            for each, last in [*((each, each.labels.minute) for each in minutes), *totals_of(minutes)]:
                known = self._minutes.get(each.labels)
                self._minutes[each.labels] = each if known is None else known.plus(each.numbers)
                self._last[each.labels] = max(last, self._last.get(each.labels, last))

    def prune(self) -> None:
        """Delete the rows that are too old."""
        now = minute_of(time.time())
        with self._lock:
            for labels in [labels for labels, last in self._last.items() if last < now - KEPT_MINUTES]:
                del self._minutes[labels], self._last[labels]

    def since(self, minute: int) -> list[Minute]:
        """Return the minutes from ``minute`` on."""
        with self._lock:
            found = [each for each in self._minutes.values() if TOTAL != each.labels.minute >= minute]
        return sorted(found)

    def totals(self) -> list[Minute]:
        """Return the totals."""
        with self._lock:
            return [each for each in self._minutes.values() if each.labels.minute == TOTAL]

    def clear(self) -> None:
        """Delete everything."""
        with self._lock:
            self._minutes.clear()
            self._last.clear()


class MemoryStatistics(Statistics):
    """The statistics of ``MemoryQueue``."""

    _minutes: MinuteTable

    def record(self, minutes: Sequence[Minute]) -> None:
        """Add to the statistics of this process."""
        self._minutes.add(minutes)

    def minutes(self, since: int) -> Sequence[Minute]:
        """Return the statistics of this process."""
        return self._minutes.since(since)

    def totals(self) -> Sequence[Minute]:
        """Return the sums of the statistics of this process."""
        return self._minutes.totals()
