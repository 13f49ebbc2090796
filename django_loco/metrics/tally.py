"""Counts runs by minute, queue, task and outcome.

Every job passes through here, so little is done for a single run: its values are appended to a list. Many runs are
added up together later, which takes less time. No lock is taken for a run, because that would double the time.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from ..core.job import FAILED, READY, Job, Outcome
from ..queues.records.minutes import BOUNDS, DURATION, MICROS, NUMBERS, WAIT, Labels, Minute
from .names import BoundedNames

#: The number of runs that are added up together.
TOGETHER = 200

SUCCESS: Final = "successful"
FAILURE: Final = "failed"
CANCELLED: Final = "cancelled"
LOST: Final = "lost"


#: The values that are kept of a run:
#: 1. queue, task and outcome;
#: 2. when it ended;
#: 3. when its job was due;
#: 4. when its job was claimed;
#: 5. when the worker had received the job (``time.monotonic()``, seconds);
#: 6. when its function was called, by the same clock; ``None``: it was not called;
#: 7. the seconds that the function ran; ``None``: not known.
#: A plain tuple takes a fifth of the time of a named one.
Run = tuple[tuple[str, str, str], datetime, datetime, datetime | None, float, float | None, float | None]


class Tally:
    """The runs that have ended since the last ``take``. For any thread."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """``clock`` returns the seconds since 1970. It is used for lost runs, because their end is not known."""
        self._clock = clock
        self._lock = threading.Lock()
        """Held while runs are added up. Runs are appended without it, since they are removed only at the other end."""
        self._runs: list[Run] = []
        self._sums: dict[Labels, list[float]] = {}
        self._names = BoundedNames()

    def ended(
        self, outcome: Outcome, fetched_at: float, began_at: float | None, duration: float | None, *, is_cancelled: bool
    ) -> None:
        """Count a run whose ``outcome`` is stored. A job that was handed back before it began does not count.

        For the times see ``Run``. ``is_cancelled``: somebody has cancelled the job while it ran.
        """
        kind = CANCELLED if is_cancelled else kind_of(outcome, has_begun=began_at is not None)
        if kind is None:
            return
        job = outcome.job
        run: Run = (
            (job.queue_name, job.task_path, kind),
            outcome.at,
            job.ready_since,
            job.last_attempted_at,
            fetched_at,
            began_at,
            duration,
        )
        self._runs.append(run)
        if len(self._runs) >= TOGETHER:
            with self._lock:
                self._add_up()

    def lost(self, jobs: Sequence[Job]) -> None:
        """Count the runs of ``jobs`` whose workers died. The jobs were rescued, or have failed for that reason."""
        minute = int(self._clock()) // 60
        with self._lock:
            for job in jobs:
                kind = FAILURE if job.status == FAILED else LOST
                self._sums_of(minute, (job.queue_name, job.task_path, kind))[0] += 1

    def take(self) -> list[Minute]:
        """Return the counts, and start again from zero."""
        with self._lock:
            self._add_up()
            sums, self._sums = self._sums, {}
        return [
            Minute(labels, tuple(_whole(name, value) for name, value in zip(NUMBERS, values, strict=True)))
            for labels, values in sums.items()
        ]

    def _add_up(self) -> None:
        number = len(self._runs)
        runs = self._runs[:number]
        del self._runs[:number]
        for minute, part in _by_minute(runs).items():
            by_names: dict[tuple[str, str, str], list[Run]] = defaultdict(list)
            for run in part:
                by_names[run[0]].append(run)
            for names, alike in by_names.items():
                self._add_alike(self._sums_of(minute, names), alike)

    @staticmethod
    def _add_alike(sums: list[float], runs: Sequence[Run]) -> None:
        sums[0] += len(runs)
        _add_times(sums, 1, DURATION, [duration for *_, duration in runs if duration is not None])
        waits = [
            began_at - fetched_at + ((claimed_at - ready_since).total_seconds() if claimed_at else 0.0)
            for _, _, ready_since, claimed_at, fetched_at, began_at, _ in runs
            if began_at is not None
        ]
        if waits and min(waits) < 0:  # the clocks of the enqueuing and the running machine differ
            waits = [max(0.0, seconds) for seconds in waits]
        _add_times(sums, 2, WAIT, waits)

    def _sums_of(self, minute: int, key: tuple[str, str, str]) -> list[float]:
        queue_name, task_path, kind = key
        return self._sums.setdefault(Labels(minute, *self._names.of(queue_name, task_path), kind), [0.0] * len(NUMBERS))


def kind_of(outcome: Outcome, *, has_begun: bool = True) -> str | None:
    """Return the word for an outcome; ``None`` for a job that was handed back before it began."""
    return None if outcome.status == READY and not outcome.spent and not has_begun else outcome.kind


def _add_times(sums: list[float], total: int, first: int, times: list[float]) -> None:
    """Add ``times`` to a sum, and to the histogram that begins at ``first``."""
    times.sort()
    sums[total] += sum(times)
    below = 0
    for bucket, bound in enumerate(BOUNDS):
        if below == len(times):
            return
        up_to = bisect_right(times, bound, below)
        sums[first + bucket] += up_to - below
        below = up_to
    sums[first + len(BOUNDS)] += len(times) - below


def _by_minute(runs: Sequence[Run]) -> dict[int, Sequence[Run]]:
    """Return the runs by the minute in which they ended. Usually there is only one."""
    times = [run[1] for run in runs]
    first, last = (int(at.timestamp()) // 60 for at in (min(times), max(times))) if times else (0, 0)
    if first == last:
        return {first: runs}
    parts: dict[int, list[Run]] = defaultdict(list)
    for run in runs:
        parts[int(run[1].timestamp()) // 60].append(run)
    return {**parts}


def _whole(name: str, value: float) -> int:
    return round(value * 1e6) if name in MICROS else int(value)
