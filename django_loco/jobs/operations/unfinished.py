"""The error of an operation on many jobs that has done a part of them."""

from __future__ import annotations

from ...exceptions import QueueUnavailable, Unfinished


def unfinished(
    error: Exception, done: int, past: str, again: str = "Run the operation again for the others."
) -> Unfinished:
    """Return the error to raise when ``error`` has stopped an operation after ``done`` jobs.

    ``past`` is the past participle of the operation. ``again`` says how to do the rest.
    """
    jobs = f"{done:,} {'job was' if done == 1 else 'jobs were'} {past}"
    reason = "a store could not be reached any more" if isinstance(error, QueueUnavailable) else "others were refused"
    return Unfinished(f"{jobs}, then {reason}. {again} {error}", done=done)
