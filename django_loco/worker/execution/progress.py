"""How far a job is, as it says with ``context.progress``.

1. The job says so as often as it likes: ``report`` only keeps the last report in memory, which takes less than a
   microsecond, in an open transaction and on an event loop as well.
2. A thread of the worker stores what is new, once a second (``worker.maintenance.cancellations``). It has a connection
   of its own, so others see the progress before the job's transaction commits.
3. Progress that is new when the attempt ends is stored before its outcome.
"""

from __future__ import annotations

from numbers import Number
from typing import Any

from ...jobs.presentation.progress import progress_text
from ..claimed_job import ClaimedJob


def report(claimed: ClaimedJob, done: Any, total: Any, note: Any) -> None:
    """Take note of how far a job is. Raises ``TypeError`` for a number or a note of another type."""
    if type(done) is not int:
        done = _checked("done", done)
    if total is not None and type(total) is not int:
        total = _checked("total", total)
    if type(note) is not str:
        note = str(note)
    claimed.report = (done, total, note)


def _checked(name: str, value: Any) -> int | float:
    if isinstance(value, int | float):
        return value
    if isinstance(value, Number) and hasattr(value, "__float__"):  # such as a Decimal
        return float(value)
    raise TypeError(f"progress(): {name} is {value!r:.100}; it must be a number.")


def is_new(claimed: ClaimedJob) -> bool:
    """Return whether the last report is not stored yet."""
    return claimed.report is not claimed.saved_report


def save_progress(claimed: ClaimedJob) -> None:
    """Store the last report if it is new. If another worker has the job, the job learns of it.

    Any thread may call it. Raises what the queue does.
    """
    with claimed.updating:  # two threads that store must not do it in the wrong order
        report = claimed.report
        if report is None or report is claimed.saved_report:
            return
        is_held = claimed.store_update("progress", progress_text(*report))
        claimed.saved_report = report
        if not is_held and not claimed.is_decided:  # one whose outcome is stored is not held either
            claimed.refused = True
