"""What is stored in place of an outcome that the queue refuses for its size."""

from __future__ import annotations

from dataclasses import replace

from ...core.compat import TaskError
from ...core.job import FAILED, SUCCESSFUL, Outcome
from ...core.serialization import cut
from ...exceptions import ResultRefused

#: How many bytes are kept of each text. An error of the store may quote what it was sent.
KEPT = 1_000
LEFT_OUT = "The traceback was left out: the queue refused the outcome of a later attempt for its size.\n"


def substitute_for(outcome: Outcome, error: Exception | None) -> Outcome:
    """Return ``outcome`` in little space; ``error`` is what the queue raised.

    A job that succeeded has failed then, as ``ResultRefused``. Others end as they did, with most of their traceback
    left out. Of earlier attempts only the types of their errors are kept.
    """
    job = replace(outcome.job, errors=tuple(replace(kept, traceback=LEFT_OUT) for kept in outcome.job.errors))
    if outcome.status == SUCCESSFUL:
        return replace(outcome, job=job, status=FAILED, return_value=None, error=_refusal(outcome, error))
    if outcome.error is None:
        return replace(outcome, job=job)
    short = cut(outcome.error.traceback, KEPT, "the queue refused the outcome for its size")
    return replace(outcome, job=job, error=replace(outcome.error, traceback=short))


def _refusal(outcome: Outcome, error: Exception | None) -> TaskError:
    path = f"{ResultRefused.__module__}.{ResultRefused.__qualname__}"
    said = cut(str(error), KEPT, "cut")
    text = (
        f"{path}: {outcome.job.task_path} returned {len(outcome.return_value or ''):,} bytes of JSON, which the queue "
        f"does not store ({said}). Return less (an id, the path of a file), or raise the limit of the store "
        "(proto-max-bulk-len in Redis, statement_timeout in PostgreSQL). LOCO['MAX_RESULT_SIZE'] should be below it.\n"
    )
    return TaskError(exception_class_path=path, traceback=text)
