"""Makes a short outcome, which is stored if the queue refuses the real one because of its size."""

from __future__ import annotations

from dataclasses import replace

from ...core.compat import TaskError
from ...core.job import FAILED, SUCCESSFUL, Outcome, error_of
from ...core.serialization import cut, encode
from ...exceptions import ResultRefused

#: The number of bytes that are kept of each text. The store's error may quote the value that it refused.
KEPT_BYTES = 1_000
LEFT_OUT = "The traceback was left out: the queue refused the outcome of a later attempt for its size.\n"
LOG_LEFT_OUT = encode({"text": "The log was left out: the queue refused the outcome for its size."})


def substitute_for(outcome: Outcome, error: Exception | None) -> Outcome:
    """Return a short version of ``outcome``; ``error`` is the exception of the queue.

    A job that succeeded becomes one that failed with ``ResultRefused``. Others keep their status and lose most of their
    traceback. Of earlier attempts only the types of the errors are kept. The log is left out. If the log is the largest
    part, nothing else is changed.
    """
    if outcome.log and 2 * len(outcome.log) > outcome.size:
        return replace(outcome, log=LOG_LEFT_OUT)
    job = replace(outcome.job, errors=tuple(replace(kept, traceback=LEFT_OUT) for kept in outcome.job.errors))
    if outcome.status == SUCCESSFUL:
        return replace(outcome, job=job, status=FAILED, return_value=None, error=_refusal(outcome, error), log=None)
    if outcome.error is None:
        return replace(outcome, job=job, log=None)
    short = cut(outcome.error.traceback, KEPT_BYTES, "the queue refused the outcome for its size")
    return replace(outcome, job=job, error=replace(outcome.error, traceback=short), log=None)


def _refusal(outcome: Outcome, error: Exception | None) -> TaskError:
    said = cut(str(error), KEPT_BYTES, "cut")
    return error_of(
        ResultRefused,
        f"{outcome.job.task_path} returned {len(outcome.return_value or ''):,} bytes of JSON, which the queue "
        f"does not store ({said}). Return less (an id, the path of a file), or raise the limit of the store "
        "(proto-max-bulk-len in Redis, statement_timeout in PostgreSQL). LOCO['MAX_RESULT_SIZE'] should be below it.",
    )
