"""Sends signals to jobs: what ``context.wait_for`` returns in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...core.job import READY, RUNNING, Job, pending_waits, utcnow
from ...core.job.waits import signals_of, text_of_signals
from ...core.serialization import decode, encode_exact, require_result_size
from ...exceptions import InvalidArguments, InvalidState
from ...queues.base import Change
from ..states import state_of
from ..stores import JobReference, backend_of, get


def signal(which: JobReference, name: str, /, value: Any = None, *, backend: str | None = None) -> bool:
    """Send the signal ``name`` to a job; return ``False`` if it has one of this name already, which then stays.

    The job may wait for it, run, or call ``context.wait_for(name)`` later, which returns ``value`` (JSON). In an open
    transaction of the database that has the jobs, the signal is sent with the commit.

    Raises ``InvalidArguments`` for a name that is no text and a value that is not JSON, or larger than
    ``MAX_RESULT_SIZE`` bytes; ``InvalidState`` if the job has ended, or does not wait for it any more;
    ``TaskResultDoesNotExist`` if there is no such job; ``QueueRefused`` if its queue has no signals.
    """
    value = _checked(name, value)
    while True:
        job = get(which, backend=backend)
        _require_possible(job)
        signals = signals_of(job)
        if name in signals or name in _steps_of(job):
            _require_in_time(job, name)
            return False
        if _is_stored(job, name, text_of_signals({**signals, name: {"value": value}})):
            return True


def _checked(name: object, value: Any) -> Any:
    """Return ``value`` as the job will read it. Raises ``InvalidArguments``."""
    if type(name) is not str or not name:
        raise InvalidArguments(f"The name of a signal is {name!r:.100}; it must be text that is not empty.")
    try:
        text = encode_exact(value)
        require_result_size(f"The value of the signal {name!r:.100}", text)
    except (TypeError, ValueError) as error:
        raise InvalidArguments(f"The value of the signal {name!r:.100} cannot be sent as JSON. {error}") from None
    return decode(text)


def _require_possible(job: Job) -> None:
    if job.status not in (READY, RUNNING):
        raise InvalidState(f"Job {job.id} ({job.task_path}) is {state_of(job, utcnow())}, so no signal reaches it.")
    if not job.is_readable:
        raise InvalidState(f"Job {job.id} cannot be read as it is stored, so no signal reaches it.")
    if job.is_moving:
        raise InvalidState(f"Job {job.id} is on its way to another store, or there already. Send the signal there.")
    if not backend_of(job.backend).runs_stored_jobs:
        raise InvalidState(
            f"TASKS[{job.backend!r}] runs jobs inside enqueue(), so nothing would run job {job.id} after a signal."
        )


def _require_in_time(job: Job, name: str) -> None:
    signal = signals_of(job).get(name)
    if signal is None:
        raise InvalidState(
            f"Job {job.id} ({job.task_path}) has done the step {name!r:.100} already, so it waits for no such signal."
        )
    if "value" not in signal:
        raise InvalidState(
            f"Job {job.id} ({job.task_path}) does not wait for the signal {name!r:.100} any more: its time was up."
        )


def _is_stored(job: Job, name: str, text: str | None) -> bool:
    """Store the signals of ``job``, if it is still as it was read, and let it run if it waits for ``name``."""
    queue = backend_of(job.backend).queue
    if job.status == RUNNING:
        return queue.signal(job, text)
    is_awaited = any(wait.is_signal and wait.name == name for wait in pending_waits(job))
    after = replace(job, signals=text, run_after=utcnow() if is_awaited else job.run_after)
    return not queue.change([Change(before=job, after=after)])


def _steps_of(job: Job) -> dict[str, Any]:
    return {} if job.steps is None else dict(decode(job.steps))
