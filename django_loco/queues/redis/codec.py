"""A job as lines of text: how it goes to Redis and comes back.

A job is stored in two parts, JSON lists that only Python reads. What never changes is written once; the *state*, which
each run replaces as a whole, is small, and a job that has never run has none. While a worker holds the job, a third
text says which. To the scripts all three are words without a meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from json import JSONDecoder
from json.encoder import encode_basestring_ascii as quote
from types import NoneType
from typing import Any

from ...core.compat import TaskError, TaskResultStatus
from ...core.job import READY, RUNNING, SUSPECT, UNREADABLE, Job, Outcome
from ...core.serialization import encode
from ..base import Claim
from ..rows import folded, unfolded
from ..unreadable import EPOCH, NOT_OURS, record_of, texts

MICROSECOND = timedelta(microseconds=1)
#: A place has three digits for the priority, which Django keeps between -100 and 100, turned round.
HIGHEST = 500
#: It has sixteen for the time: what is due before 1970 or after 2286 waits with what is due then.
LATEST = 10**16 - 1

#: What a job has behind it, and nothing is stored of as long as it is new.
HISTORY = ("status", "started_at", "last_attempted_at", "finished_at", "worker_ids", "errors", "lost", "return_value")
NEW = Job(task_path="", backend="")

#: The types of what is stored: of what never changes of a job, and of its state.
_NUMBER, _TEXT = (int, NoneType), (str, NoneType)
FIXED = (str, str, str, int, bool, _NUMBER, int, list, dict, _TEXT)
STATE = (str, _NUMBER, _NUMBER, _NUMBER, _NUMBER, list, list, int, _TEXT, _TEXT)

_statuses = {status.value: status for status in TaskResultStatus}
_read = JSONDecoder().decode


def micros(moment: datetime) -> int:
    """Return a time as the scripts want it: whole microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def moment_of(number: int) -> datetime:
    """Return the time that ``micros`` was given."""
    return EPOCH + number * MICROSECOND


@lru_cache(4096)
def word(text: str) -> str:
    """Return a name as a JSON word: in it are no line breaks or tabs."""
    return quote(text)


@lru_cache(4096)
def _line_and_tags(kind: int, queue_name: str, tags: tuple[str, ...]) -> tuple[str, str]:
    line = f"{kind}{word(queue_name)}" + "\t" * bool(tags)
    return line, "".join(f"\t{word(tag)}" for tag in dict.fromkeys(tags))


def place_of(job: Job, due_at: datetime, lost: int) -> str:
    """Return the place at which ``job`` waits after ``lost`` deaths, see ``lua/common.lua``."""
    line, tags = _line_and_tags(job.is_async + 2 * (lost >= SUSPECT), job.queue_name, job.tags)
    priority = min(max(HIGHEST - job.priority, 0), 999)
    due = min(max(micros(due_at), 0), LATEST)
    return f"{line}\r{priority:03d}{due:016d}{job.id}{tags}"


def start_of_series(name: str) -> str:
    """Return what the entries of the series ``name`` begin with, see ``series_of`` in ``lua/common.lua``."""
    return f"{word(name)[:-1]}\t"


def lines(values: Iterable[object]) -> str:
    """Return the text that the function of this name in ``lua/common.lua`` takes apart."""
    return "".join([f"{value}\n" for value in values])


def words_of(names: Iterable[str] | None) -> str:
    """Return names as ``words`` in ``lua/ready.lua`` takes them apart; ``None``: all."""
    return "*" if names is None else lines(map(word, dict.fromkeys(names)))


def ids_of(answer: bytes) -> set[str]:
    """Return the ids that a script has named, a line each."""
    return set(answer.decode().split("\n")) if answer else set()


def told_of_job(job: Job) -> tuple[object, ...]:
    """Return what ``lua/enqueue.lua`` is told of a job."""
    is_new = all(getattr(job, name) == getattr(NEW, name) for name in HISTORY)
    state = "" if is_new else _state(job, {name: getattr(job, name) for name in ("run_after", *HISTORY)}, None)
    if job.checkpoint is not None:
        state += f"\t{job.checkpoint}"
    return job.id, _fixed(job), state, place_of(job, job.due_at, job.lost), _text(job.run_after), _once(job)


def told_of_outcome(outcome: Outcome) -> tuple[object, ...]:
    """Return what ``lua/finish.lua`` is told of an outcome.

    The token is in the state, so that the state tells whether it was this outcome that made it.
    """
    job, after = outcome.job, outcome.changes()
    told = (job.id, job.token, _state(job, after, job.token), _kind(job.queue_name, outcome.status))
    if outcome.status == READY:
        return *told, place_of(job, after["run_after"] or job.enqueued_at, after["lost"]), _text(outcome.run_after)
    return *told, _once(job), micros(outcome.at)


def micros_in(seconds: float) -> int:
    """Return a length of time as the scripts want it."""
    return round(seconds * 1e6)


def told_of_claim(claim: Claim, nonce: str) -> tuple[object, ...]:
    """Return what ``lua/exchange.lua`` is told of a claim."""
    room = (1, 0) if claim.suspects else (claim.threads, claim.coroutines)
    return nonce, word(claim.worker_id), micros_in(claim.lease), *room, *told_of_choice(claim)


def told_of_choice(claim: Claim) -> tuple[str, str, str, str]:
    """Return which jobs are wanted: the queues, the tags, the kinds for the threads and those for the coroutines."""
    return words_of(claim.queues), words_of(claim.tags), *_kinds_of(claim)


def _kinds_of(claim: Claim) -> tuple[str, str]:
    if claim.suspects:
        return "2" * (claim.threads > 0) + "3" * (claim.coroutines > 0), ""
    return ("02", "13") if claim.suspects is None else ("0", "1")


def jobs_of(alias: str, rows: str) -> list[Job]:
    """Return the jobs that a script shows: four lines each."""
    shown = iter(rows.split("\n") if rows else ())
    return [_job(alias, *four) for four in zip(shown, shown, shown, shown, strict=True)]


# These lists are put together by hand: to have json do so takes three times as long, and this is done for every job.


def _fixed(job: Job) -> str:
    call = f"{word(job.task_path)},{quote(job.arguments)},{word(job.queue_name)},{job.priority}"
    kind = "true" if job.is_async else "false"
    more = f"{_list(job.tags)},{encode(job.options) if job.options else '{}'},{_quoted(job.key)}"
    return f"[{call},{kind},{_number(job.run_after)},{micros(job.enqueued_at)},{more}]"


def _state(job: Job, after: Mapping[str, Any], token: str | None) -> str:
    times = (after["run_after"], job.started_at, job.last_attempted_at, after["finished_at"])
    errors = _errors(after["errors"])
    ended = f"{_list(folded(after['worker_ids']))},{errors},{after['lost']},{_quoted(after['return_value'])}"
    return f'["{after["status"].value}",{",".join(map(_number, times))},{ended},{_quoted(token)}]'


def _errors(errors: Sequence[TaskError]) -> str:
    return encode([(error.exception_class_path, error.traceback) for error in errors]) if errors else "[]"


def _list(words: Iterable[str | int]) -> str:
    return f"[{','.join(word(each) if isinstance(each, str) else str(each) for each in words)}]"


def _quoted(text: str | None) -> str:
    return "null" if text is None else quote(text)


def _number(moment: datetime | None) -> str:
    return "null" if moment is None else str(micros(moment))


def _job(alias: str, job_id: str, fixed: str, state: str, held: str) -> Job:
    try:
        return _readable(alias, job_id, fixed, state, held)
    except NOT_OURS as error:
        return _unreadable(alias, job_id, state, held, error)


def _readable(alias: str, job_id: str, fixed: str, state: str, held: str) -> Job:
    values = _values(fixed, FIXED)
    path, arguments, queue_name, priority, is_async, run_after, enqueued_at, tags, options, key = values
    state, _, checkpoint = state.partition("\t")
    past: dict[str, Any] = _past(state) if state else {"run_after": _moment(run_after)}
    if checkpoint:
        past["checkpoint"] = checkpoint
    if held:
        past |= _claim(past.get("started_at"), held)
    return Job(
        id=job_id,
        task_path=path,
        backend=alias,
        arguments=arguments,
        queue_name=queue_name,
        priority=priority,
        is_async=is_async,
        enqueued_at=moment_of(enqueued_at),
        tags=texts(tags),
        options=options,
        key=key,
        **past,
    )


def _unreadable(alias: str, job_id: str, state: str, held: str, error: Exception) -> Job:
    """Return what can be told of a job whose text is not ours. Nobody can run it."""
    try:
        past = _past(state.partition("\t")[0])
    except NOT_OURS:
        past = {"status": READY, "errors": ()}
    if held or past["status"] == READY:
        past["errors"] = (*past["errors"], record_of(error, "Redis"))
    if held:
        past |= _claim(past.get("started_at"), held)
        past["queue_name"] = _read(held.rpartition("\t")[2])
    return replace(Job(id=job_id, task_path=UNREADABLE, backend=alias, enqueued_at=EPOCH), **past)


def _values(text: str, types: Sequence[Any]) -> Sequence[Any]:
    values: Sequence[Any] = _read(text)
    if len(values) != len(types) or not all(map(isinstance, values, types)):
        raise TypeError(f"it is {text[:200]!r}")
    return values


def _past(state: str) -> dict[str, Any]:
    status, run_after, started_at, last, finished_at, worker_ids, errors, lost, return_value, _ = _values(state, STATE)
    return {
        "status": _statuses[status],
        "run_after": _moment(run_after),
        "started_at": _moment(started_at),
        "last_attempted_at": _moment(last),
        "finished_at": _moment(finished_at),
        "worker_ids": unfolded(worker_ids),
        "errors": tuple(TaskError(exception_class_path=path, traceback=text) for path, text in map(texts, errors)),
        "lost": lost,
        "return_value": return_value,
    }


def _claim(started_at: datetime | None, held: str) -> dict[str, Any]:
    token, _, claim = held.partition("\t")
    worker_id, at = _worker_and_time(claim)
    now = {"status": RUNNING, "started_at": started_at or at, "last_attempted_at": at}
    return now | {"token": token, "worker_id": worker_id}


@lru_cache(256)
def _worker_and_time(claim: str) -> tuple[str, datetime]:
    """All jobs of one fetch have the same, but for their queue."""
    worker_id, at, _ = claim.split("\t")
    return _read(worker_id), moment_of(int(at))


@lru_cache(4096)
def _kind(queue_name: str, status: TaskResultStatus) -> str:
    return f"{word(queue_name)}\t{status.value}"


def _moment(number: int | None) -> datetime | None:
    return None if number is None else moment_of(number)


def _text(moment: datetime | None) -> str:
    return "" if moment is None else str(micros(moment))


def _once(job: Job) -> str:
    return "" if job.key is None else word(job.key)
