"""Counts the ticks of each schedule in this process by outcome, for the process's page of metrics."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final, NamedTuple

from .names import MAX_LENGTH, MAX_NAMES, OTHER

FIRED: Final = "fired"
LATE: Final = "late"
SKIPPED: Final = "skipped"
#: The reason of a skipped tick that needs no alert.
PAUSED: Final = "paused"


class TickLabels(NamedTuple):
    """The key by which ticks are counted."""

    schedule: str
    outcome: str
    """``FIRED``, ``LATE`` (fired, but late) or ``SKIPPED``."""

    reason: str = ""
    """Why the tick was skipped."""


class ScheduleTimes(NamedTuple):
    """When a schedule has fired, for an alert about schedules that do not fire."""

    known_since: float
    """When this process began to count the schedule's ticks, in seconds since 1970."""

    fired: float | None = None
    """When it last fired in this process, or was skipped because it is paused, in seconds since 1970."""

    period: float = 0.0
    """The longest time between its next ticks, in seconds; 0: it has no such ticks."""


class TickCounts:
    """The ticks of the first ``MAX_NAMES`` schedules that were seen. Other schedules are counted as ``OTHER``."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._times: dict[str, ScheduleTimes] = {}
        self._periods: dict[str, Callable[[], float]] = {}
        self._lock = threading.Lock()
        self._counts: dict[TickLabels, int] = {}
        self._names: set[str] = set()

    def know(self, schedules: Mapping[str, Callable[[], float]]) -> None:
        """Count these schedules from 0 on. Each has a function that returns its period, in seconds.

        Times of other schedules are dropped. Counts begin with 0 because Prometheus sees no increase in the first value
        of a series.
        """
        with self._lock:
            known, self._times, self._periods = self._times, {}, {}
            for schedule, period in schedules.items():
                name = self._name_of(schedule)
                self._counts.setdefault(TickLabels(name, FIRED), 0)
                if name != OTHER:
                    self._times[name] = known.get(name) or ScheduleTimes(self._clock())
                    self._periods[name] = cache(period)

    def add(self, schedule: str, outcome: str, reason: str = "") -> None:
        """Count one tick."""
        with self._lock:
            labels = TickLabels(self._name_of(schedule), outcome, reason)
            self._counts[labels] = self._counts.get(labels, 0) + 1
            if labels.schedule in self._times and (outcome != SKIPPED or reason == PAUSED):
                self._times[labels.schedule] = self._times[labels.schedule]._replace(fired=self._clock())

    def all(self) -> Mapping[TickLabels, int]:
        """Return the counts since the start of the process."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def times(self) -> Mapping[str, ScheduleTimes]:
        """Return the times of the schedules that this process knows now, by name.

        Periods are computed here, because that takes long and only readers of the metrics need them.
        """
        with self._lock:
            found, periods = sorted(self._times.items()), dict(self._periods)
        return {name: times._replace(period=periods[name]()) for name, times in found}

    def clear(self) -> None:
        """Drop everything, in a fork."""
        self.__init__()  # type: ignore[misc]

    def _name_of(self, schedule: str) -> str:
        name = schedule[:MAX_LENGTH]
        if name not in self._names and len(self._names) >= MAX_NAMES:
            return OTHER
        self._names.add(name)
        return name


#: The counts of this process. It is a global because schedules are fired from many places.
counts = TickCounts()
os.register_at_fork(after_in_child=counts.clear)
