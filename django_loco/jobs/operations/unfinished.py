"""The error of an operation on many jobs that has done a part of them."""

from __future__ import annotations

from ...exceptions import QueueUnavailable, Unfinished


def unfinished(
    error: Exception, done: int, past: str, again: str = "Run the operation again for the others."
) -> Unfinished:
    """Return what to raise when ``error`` has stopped an operation after ``done`` jobs were ``past``, its participle.

    ``again`` says how to do the rest.
    """
    jobs = f"{done:,} {'job was' if done == 1 else 'jobs were'} {past}"
    reason = "a store could not be reached any more" if isinstance(error, QueueUnavailable) else "others were refused"
    return Unfinished(f"{jobs}, then {reason}. {again} {error}", done=done)
