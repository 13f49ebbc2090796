"""Counts what became of the ticks of each schedule in this process, for its page of metrics."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from .names import MAX_LENGTH, MAX_NAMES, OTHER

FIRED: Final = "fired"
LATE: Final = "late"
SKIPPED: Final = "skipped"


class TickLabels(NamedTuple):
    """The key by which ticks are counted."""

    schedule: str
    outcome: str
    """``FIRED``, ``LATE`` (fired, but late) or ``SKIPPED``."""

    reason: str = ""
    """Why it was skipped."""


class TickCounts:
    """The ticks of the ``MAX_NAMES`` schedules that were seen first; those of all others are ``OTHER``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[TickLabels, int] = {}
        self._names: set[str] = set()

    def know(self, schedules: Collection[str]) -> None:
        """Count these schedules from 0 on: Prometheus does not see an increase in the first value of a series."""
        with self._lock:
            for schedule in schedules:
                self._counts.setdefault(TickLabels(self._name_of(schedule), FIRED), 0)

    def add(self, schedule: str, outcome: str, reason: str = "") -> None:
        """Count one tick."""
        with self._lock:
            labels = TickLabels(self._name_of(schedule), outcome, reason)
            self._counts[labels] = self._counts.get(labels, 0) + 1

    def all(self) -> Mapping[TickLabels, int]:
        """Return the counts since the start of the process."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def clear(self) -> None:
        """Forget everything, in a fork."""
        self.__init__()  # type: ignore[misc]

    def _name_of(self, schedule: str) -> str:
        name = schedule[:MAX_LENGTH]
        if name not in self._names and len(self._names) >= MAX_NAMES:
            return OTHER
        self._names.add(name)
        return name


#: The counts of this process. Schedules are fired from many places, so they do not hand it on to each other.
counts = TickCounts()
os.register_at_fork(after_in_child=counts.clear)
