"""The functions of ``django_loco.jobs`` that find jobs and operate on them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias, Unpack
from uuid import UUID

from ..core.compat import TaskResult
from ..core.job import Job
from ..core.serialization import decode_call
from ..exceptions import InvalidState
from .language import Keywords, filter_of
from .operations import EDITABLE, MOVES, Cancel, Delete, GiveUp, Operation, Retry, require
from .operations.bulk import BulkRun
from .operations.edits import move_of, update_of
from .operations.workflows.retrying import require_order
from .search import Search
from .states import State
from .stores import JobReference, backend_of, get, id_of, other_holder
from .transfer.parking import is_parked

#: The jobs that an operation takes: one job, several, or a search.
Jobs: TypeAlias = "JobReference | Search | Iterable[JobReference]"

#: The states of the jobs that each operation takes, by its name, such as ``"retry"``: for buttons and previews.
OPERATIONS: Mapping[str, Collection[State]] = {
    **{operation.name: operation.states for operation in (Retry(), Cancel(), GiveUp(), Delete())},
    "move": EDITABLE,
    "update": EDITABLE,
}


def filter(text: str = "", /, *, window: int | None = None, **keywords: Unpack[Keywords]) -> Search:  # noqa: A001 - its public name
    """Return the jobs that match a filter, the newest first: ``filter("status:failed task:shop.* older:2h")``.

    The same words are keyword arguments: ``filter(status="failed", task="shop.*", older=timedelta(hours=2))``. With
    ``window`` the search looks at no more than that many jobs. Without a filter it finds all jobs.

    Raises ``FilterError`` for a mistake, which it names.
    """
    return Search(filter_of(text, keywords), window=window)


def retry(which: Jobs, /, *, backend: str | None = None) -> int:
    """Make jobs that have failed or were cancelled ready again; return how many.

    They are due now, after the jobs that wait already, and each runs once more: its history stays, and it has spent its
    attempts. A node of a workflow waits for other nodes again. If one of these has failed and is not retried as well,
    the node does not run.

    ``which`` is a job (its id, the job, or a result), several of them, or a search; never a filter as text.

    A single job in another state raises ``InvalidState``; among several, such jobs are left alone.
    Raises ``TaskResultDoesNotExist`` if there is no such job, ``ValueError`` for a text that is no id, and the errors
    of the methods of ``Search``.
    """
    return _operate(Retry(), which, backend)


def cancel(which: Jobs, /, *, backend: str | None = None, by: str = "") -> int:
    """Cancel jobs that wait or run; return how many. They fail with ``JobCancelled``, and are not retried.

    A waiting job never runs. A running job is cancelled in the queue at once; its worker notices soon after, and its
    outcome is discarded. ``by`` names who cancels, for the text of the error. ``task_finished`` is sent.

    For ``which`` and errors see ``retry``.
    """
    return _operate(Cancel(by), which, backend)


def discard(which: Jobs, /, *, backend: str | None = None, by: str = "") -> int:
    """Give up jobs that wait or have failed; return how many.

    Waiting jobs are cancelled. Failed jobs count as cancelled from then on, so that they are no longer among the failed
    ones; their history stays, and ``retry`` takes them. Unlike ``cancel`` this does not touch running jobs.

    For ``which`` and errors see ``retry``.
    """
    return _operate(GiveUp(by), which, backend)


def delete(which: Jobs, /, *, backend: str | None = None) -> int:
    """Delete jobs that wait or have finished; return how many. A running job has to be cancelled first.

    A queue in a database keeps a job with a once-key, such as the job of a schedule, for ``RESULT_TTL`` after its end,
    at least an hour. For ``which`` and errors see ``retry``.
    """
    return _operate(Delete(), which, backend)


def move(which: Jobs, /, *, queue: str, backend: str | None = None) -> int:
    """Move jobs that wait, have failed or were cancelled to another queue of their alias; return how many.

    Raises ``ValueError`` if the ``QUEUES`` of an alias lack it. For ``which`` and other errors see ``retry``.
    """
    return _operate(move_of(queue), which, backend)


def update(
    which: Jobs,
    /,
    *,
    backend: str | None = None,
    priority: int | None = None,
    run_after: datetime | timedelta | None = None,
    expires: datetime | timedelta | None = None,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    tags: Sequence[str] | None = None,
) -> int:
    """Change jobs that wait, have failed or were cancelled; return how many. ``None`` leaves a value as it is.

    ``run_after`` and ``expires`` are times, or durations from now on; the job never runs if it has not begun by
    ``expires``. If ``which`` is several jobs, ``run_after`` leaves jobs alone that wait for a signal, for the end of a
    sleep, or for other jobs, such as nodes of a workflow. ``args``, ``kwargs`` and ``tags`` replace the present ones.
    Arguments are checked as by ``enqueue``, which raises ``InvalidArguments``; other values raise ``ValueError``.

    For ``which`` and other errors see ``retry``.
    """
    change = update_of(priority=priority, run_after=run_after, expires=expires, args=args, kwargs=kwargs, tags=tags)
    return _operate(change, which, backend)


def run_again(
    which: JobReference,
    /,
    *,
    backend: str | None = None,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
) -> TaskResult[..., Any]:
    """Enqueue a new job like a stored one, which may be in any state; return the result of the new job.

    It has the task, queue, priority, tags, options and metadata of the stored job, and its arguments unless ``args`` or
    ``kwargs`` are given. It has an id of its own, no once-key, and is due at once.

    Raises ``TaskResultDoesNotExist``, ``UnknownTask`` if this process does not have the task, ``InvalidSignature`` if
    jobs are signed and the stored one is not, ``InvalidState`` if the stored one moves to another store or has moved
    there, and the errors of ``enqueue``.
    """
    job = get(which, backend=backend)
    if job.is_moving:
        raise InvalidState(f"Job {job.id} {MOVES}.")
    stored_args, stored_kwargs = decode_call(job.arguments)
    return backend_of(job.backend).run_again(
        job, stored_args if args is None else args, stored_kwargs if kwargs is None else kwargs
    )


def _operate(operation: Operation, which: Jobs, backend: str | None) -> int:
    if isinstance(which, Search):
        return (which if backend is None else which.filter(backend=backend)).do(operation)
    if isinstance(which, str):
        _require_id(which)
    if isinstance(which, str | UUID | Job | TaskResult):
        return _operate_on_one(operation, get(which, backend=backend), backend)
    if not isinstance(which, Iterable):
        raise TypeError(f"{which!r} is not a job, its id, a result, several of these, or a search.")
    ids = [id_of(each) for each in which]
    return filter(id=ids, backend=backend).do(operation) if ids else 0


def _operate_on_one(operation: Operation, job: Job, backend: str | None) -> int:
    """Do ``operation`` with ``job``. Raises ``InvalidState`` if it is not possible.

    A job on its way to another store may be in both stores. The operation is done in both, because the next run of the
    move would bring back a job that is left in one of them.
    """
    require(operation, job)
    if isinstance(operation, Retry):
        require_order(backend_of(job.backend).queue, job)
    if filter(id=job.id, backend=backend).do(operation) if is_parked(job) else BulkRun(operation).over([job]):
        return 1
    stored = get(job)
    require(operation, stored)
    if stored == job and (holder := other_holder(job)):
        reason = f"job {holder.id} has its unique key. When that one has ended or is cancelled, try again."
    elif stored == job and job.key is not None:
        reason = (
            "its queue still has to know its once-key, for LOCO['RESULT_TTL'] after its end. If it waits, cancel it."
        )
    else:
        reason = "it has changed each time between reading and writing it. Try again."
    raise InvalidState(f"Job {job.id} could not be {operation.past}: {reason}")


def _require_id(text: str) -> None:
    """Raise ``ValueError`` for a text that is no id.

    A filter is refused as well: a view may pass on the text of a visitor as an id, who may write "status:waiting".
    """
    try:
        id_of(text)
    except ValueError as error:
        remedy = 'For the jobs of a filter, write jobs.filter("status:failed newer:1h").retry() and the like.'
        raise ValueError(f"{error} {remedy}") from None
