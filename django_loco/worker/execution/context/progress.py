"""The progress of a job, as reported with ``context.progress``.

1. The job may report as often as it likes: ``report`` only keeps the last report in memory, which takes less than a
   microsecond. This works inside a transaction and on an event loop as well.
2. A thread of the worker stores new reports once a second (``worker.maintenance.cancellations``). It has a connection
   of its own, so others see the progress before the job's transaction commits.
3. Progress that is new when the attempt ends is stored before its outcome.
"""

from __future__ import annotations

from numbers import Number
from typing import Any

from ....core.job.progress import text_of_progress
from ...claimed_job import ClaimedJob


def report(claimed: ClaimedJob, done: Any, total: Any, note: Any) -> None:
    """Keep a job's report of its progress in memory. Raises ``TypeError`` for a number or a note of another type."""
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

    Any thread may call it. Raises the queue's errors.
    """
    with claimed.updating:  # two threads must not store in the wrong order
        report = claimed.report
        if report is None or report is claimed.saved_report:
            return
        is_held = claimed.store_update("progress", text_of_progress(*report))
        claimed.saved_report = report
        if not is_held and not claimed.is_decided:  # after its outcome was stored, a job is not held either
            claimed.refused = True
