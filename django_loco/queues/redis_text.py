"""A job as lines of text: how it goes to Redis and comes back.

A job is stored in two parts, JSON lists that only Python reads. What never changes is written once; the *state*, which
each run replaces as a whole, is small, and a job that has never run has none. While a worker holds the job, a third
text says which. To the scripts all three are words without a meaning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from ..compat import TaskError, TaskResultStatus
from ..job import READY, RUNNING, Job, Outcome

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
#: A place has three digits for the priority, which Django keeps between -100 and 100, turned round.
HIGHEST = 500

#: The history of a job that has none.
NEW: Mapping[str, Any] = {
    "status": READY,
    "started_at": None,
    "last_attempted_at": None,
    "finished_at": None,
    "worker_ids": (),
    "errors": (),
    "lost": 0,
    "return_value": None,
}

_statuses = {status.value: status for status in TaskResultStatus}


def micros(moment: datetime) -> int:
    """Return a time as the scripts want it: whole microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def moment_of(number: int) -> datetime:
    """Return the time that ``micros`` was given."""
    return EPOCH + number * MICROSECOND


@lru_cache(4096)
def word(text: str) -> str:
    """Return a name as a JSON word: in it are no line breaks or tabs."""
    return json.dumps(text)


@lru_cache(4096)
def line_of(is_async: bool, queue_name: str, tags: tuple[str, ...]) -> str:
    """Return the line in which such jobs wait, see ``redis_common.lua``."""
    return f"{is_async:d}" + "\t".join(map(word, (queue_name, *tags)))


def place_of(job: Job, due_at: datetime) -> str:
    """Return the place at which ``job`` waits, see ``redis_common.lua``."""
    line = line_of(job.is_async, job.queue_name, job.tags)
    return f"{line}\r{HIGHEST - job.priority:03d}{micros(due_at):016d}{job.id}"


def lines(values: Iterable[object]) -> str:
    """Return the text that the function of this name in ``redis_common.lua`` takes apart."""
    return "".join([f"{value}\n" for value in values])


def told_of_job(job: Job) -> tuple[object, ...]:
    """Return what ``redis_enqueue.lua`` is told of a job."""
    history = {name: getattr(job, name) for name in NEW}
    state = "" if history == NEW else _state(job, {**history, "run_after": job.run_after}, None)
    return job.id, _fixed(job), state, place_of(job, job.due_at), _text(job.run_after), _once(job)


def told_of_outcome(outcome: Outcome) -> tuple[object, ...]:
    """Return what ``redis_finish.lua`` is told of an outcome.

    The token is in the state, so that the state tells whether it was this outcome that made it.
    """
    job, after = outcome.job, outcome.changes()
    told = (job.id, job.token, _state(job, after, job.token), _kind(job.queue_name, outcome.status))
    if outcome.status == READY:
        return *told, place_of(job, after["run_after"] or job.enqueued_at), _text(outcome.run_after)
    return *told, _once(job), micros(outcome.at)


def jobs_of(alias: str, rows: str) -> list[Job]:
    """Return the jobs that a script shows: four lines each."""
    shown = iter(rows.split("\n") if rows else ())
    return [_job(alias, *four) for four in zip(shown, shown, shown, shown, strict=True)]


def _fixed(job: Job) -> str:
    call = (job.task_path, job.arguments, job.queue_name, job.priority, job.is_async)
    times = (_number(job.run_after), micros(job.enqueued_at))
    return json.dumps((*call, *times, job.tags, job.options, job.key))


def _state(job: Job, after: Mapping[str, Any], token: str | None) -> str:
    times = (after["run_after"], job.started_at, job.last_attempted_at, after["finished_at"])
    errors = [(error.exception_class_path, error.traceback) for error in after["errors"]]
    ended = (after["worker_ids"], errors, after["lost"], after["return_value"])
    return json.dumps((after["status"].value, *map(_number, times), *ended, token))


def _job(alias: str, job_id: str, fixed: str, state: str, held: str) -> Job:
    path, arguments, queue_name, priority, is_async, run_after, enqueued_at, tags, options, key = json.loads(fixed)
    past = {**NEW, "run_after": _moment(run_after)} if state == "" else _past(state)
    return Job(
        id=job_id,
        task_path=path,
        backend=alias,
        arguments=arguments,
        queue_name=queue_name,
        priority=priority,
        is_async=is_async,
        enqueued_at=moment_of(enqueued_at),
        tags=tuple(tags),
        options=options,
        key=key,
        **(_claimed(past, held) if held else past),
    )


def _past(state: str) -> dict[str, Any]:
    status, run_after, started_at, last, finished_at, worker_ids, errors, lost, return_value, _ = json.loads(state)
    return {
        "status": _statuses[status],
        "run_after": _moment(run_after),
        "started_at": _moment(started_at),
        "last_attempted_at": _moment(last),
        "finished_at": _moment(finished_at),
        "worker_ids": tuple(worker_ids),
        "errors": tuple(TaskError(exception_class_path=path, traceback=text) for path, text in errors),
        "lost": lost,
        "return_value": return_value,
    }


def _claimed(past: dict[str, Any], held: str) -> dict[str, Any]:
    token, _, claim = held.partition("\t")
    worker_id, at = _worker_and_time(claim)
    started_at = past["started_at"] or at
    now = {"status": RUNNING, "started_at": started_at, "last_attempted_at": at}
    return past | now | {"token": token, "worker_id": worker_id}


@lru_cache(256)
def _worker_and_time(claim: str) -> tuple[str, datetime]:
    """All jobs of one fetch have the same."""
    worker_id, at = claim.split("\t")
    return json.loads(worker_id), moment_of(int(at))


@lru_cache(4096)
def _kind(queue_name: str, status: TaskResultStatus) -> str:
    return f"{word(queue_name)}\t{status.value}"


def _number(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)


def _moment(number: int | None) -> datetime | None:
    return None if number is None else moment_of(number)


def _text(moment: datetime | None) -> str:
    return "" if moment is None else str(micros(moment))


def _once(job: Job) -> str:
    return "" if job.key is None else word(job.key)
