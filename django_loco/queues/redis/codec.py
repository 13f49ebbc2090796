"""How a job is written for Redis and read back: as lines of text.

A job is stored in two parts, JSON lists that only Python reads. The part that never changes is written once. The
*state*, which each run replaces as a whole, is small, and a job that has never run has none. While a worker holds the
job, a third text says which. A fourth, a JSON object, has the fields that the lists do not have. Scripts do not look
into these texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from json import JSONDecoder
from json.encoder import encode_basestring_ascii as quote
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple

from ...core.compat import TaskError, TaskResultStatus
from ...core.job import READY, RUNNING, SUSPECT, UNREADABLE, Job, Outcome
from ...core.serialization import encode
from ..base import Claim
from ..rows import FIELDS, STATUSES, folded, stored_value, unfolded, value_of
from ..unreadable import EPOCH, NOT_OURS, record_of, texts

MICROSECOND = timedelta(microseconds=1)
#: A place has three digits for the priority, which Django keeps between -100 and 100, turned round.
HIGHEST = 500
#: It has sixteen for the time: what is due before 1970 or after 2286 waits with what is due then.
LATEST = 10**16 - 1

NEW = Job(task_path="", backend="")

_decode = JSONDecoder().decode


def micros(moment: datetime) -> int:
    """Return a time as the scripts want it: whole microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def moment_of(number: int) -> datetime:
    """Return the time that ``micros`` was given."""
    return EPOCH + number * MICROSECOND


def micros_in(seconds: float) -> int:
    """Return a length of time as the scripts want it."""
    return round(seconds * 1e6)


@lru_cache(4096)
def word(text: str) -> str:
    """Return a name as a JSON word: in it are no line breaks or tabs."""
    return quote(text)


def lines(values: Iterable[object]) -> str:
    """Return the text that the function of this name in ``lua/common.lua`` takes apart."""
    return "".join([f"{value}\n" for value in values])


class ListItem(NamedTuple):
    """A field of a job that is an item of one of the two lists."""

    name: str
    types: Any
    """The types that it has after JSON was decoded."""

    write: Callable[[Any], str]
    """Returns the JSON of a value that is not ``None``. With ``json`` a whole list takes three times as long."""

    read: Callable[[Any], Any] | None = None
    """Returns the value of the field if the item is not ``None``; without it that is the item itself."""


def _time(moment: datetime) -> str:
    return str(micros(moment))


def _words(words: Iterable[str | int]) -> str:
    return f"[{','.join([word(each) if isinstance(each, str) else str(each) for each in words])}]"


def _worker_ids(worker_ids: Sequence[str]) -> str:
    return _words(folded(worker_ids)) if worker_ids else "[]"


def _errors(errors: Sequence[TaskError]) -> str:
    return encode([(error.exception_class_path, error.traceback) for error in errors]) if errors else "[]"


def _options(options: Mapping[str, Any]) -> str:
    return encode(options) if options else "{}"


def _read_errors(errors: Sequence[Any]) -> tuple[TaskError, ...]:
    return tuple(TaskError(exception_class_path=path, traceback=text) for path, text in map(texts, errors))


_STATUS_WORDS = {status: f'"{status.value}"' for status in TaskResultStatus}
_NUMBER_OR_NONE, _TEXT_OR_NONE = (int, NoneType), (str, NoneType)
#: The part that never changes. Other releases read these lists: no item can be added, moved or left out.
FIXED = (
    ListItem("task_path", str, word),
    ListItem("arguments", str, quote),
    ListItem("queue_name", str, word),
    ListItem("priority", int, str),
    ListItem("is_async", bool, {True: "true", False: "false"}.__getitem__),
    ListItem("run_after", _NUMBER_OR_NONE, _time, moment_of),
    ListItem("enqueued_at", int, _time, moment_of),
    ListItem("tags", list, _words, texts),
    ListItem("options", dict, _options),
    ListItem("key", _TEXT_OR_NONE, quote),
)
#: The state. Its token is that of the claim that ended with it.
STATE = (
    ListItem("status", str, _STATUS_WORDS.__getitem__, STATUSES.__getitem__),
    ListItem("run_after", _NUMBER_OR_NONE, _time, moment_of),
    ListItem("started_at", _NUMBER_OR_NONE, _time, moment_of),
    ListItem("last_attempted_at", _NUMBER_OR_NONE, _time, moment_of),
    ListItem("finished_at", _NUMBER_OR_NONE, _time, moment_of),
    ListItem("worker_ids", list, _worker_ids, unfolded),
    ListItem("errors", list, _errors, _read_errors),
    ListItem("lost", int, str),
    ListItem("return_value", _TEXT_OR_NONE, quote),
    ListItem("token", _TEXT_OR_NONE, quote),
)
_FIXED_WRITERS = tuple(item.write for item in FIXED)
_STATE_WRITERS = tuple((item.name, item.write) for item in STATE)
_fixed_values: Callable[[Job], tuple[Any, ...]] = attrgetter(*(item.name for item in FIXED))
#: What a job has behind it. ``run_after`` is in both lists.
_history: Callable[[Job], tuple[Any, ...]] = attrgetter(*(item.name for item in STATE if item.name != "run_after"))
_NO_HISTORY = _history(NEW)


#: The fields that came after the lists: those that each release may add.
EXTRA = tuple(
    name
    for name in FIELDS
    if name not in {item.name for item in (*FIXED, *STATE)} and name not in ("id", "backend", "worker_id", "checkpoint")
)


def _fixed(job: Job) -> str:
    values = zip(_FIXED_WRITERS, _fixed_values(job), strict=True)
    return f"[{','.join(['null' if value is None else write(value) for write, value in values])}]"


def _state(job: Job, changes: Mapping[str, Any]) -> str:
    """Return the state of ``job`` with ``changes`` made to it."""
    texts = []
    for name, write in _STATE_WRITERS:
        value = changes[name] if name in changes else getattr(job, name)
        texts.append("null" if value is None else write(value))
    return f"[{','.join(texts)}]"


class ListReader:
    """Reads one of the two lists."""

    def __init__(self, items: Sequence[ListItem]) -> None:
        self._names = tuple(item.name for item in items)
        self._types = tuple(item.types for item in items)
        self._readers = tuple((place, item.read) for place, item in enumerate(items) if item.read)

    def __call__(self, text: str) -> dict[str, Any]:
        """Return the fields in ``text``. Raises one of ``unreadable.NOT_OURS``."""
        values: list[Any] = _decode(text)
        if len(values) != len(self._types) or not all(map(isinstance, values, self._types)):
            raise TypeError(f"it is {text[:200]!r}")
        for place, read in self._readers:
            if (value := values[place]) is not None:
                values[place] = read(value)
        return dict(zip(self._names, values, strict=True))


_read_fixed, _read_state = ListReader(FIXED), ListReader(STATE)


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


def words_of(names: Iterable[str] | None) -> str:
    """Return names as ``words`` in ``lua/ready.lua`` takes them apart; ``None``: all."""
    return "*" if names is None else lines(map(word, dict.fromkeys(names)))


def ids_of(answer: bytes) -> set[str]:
    """Return the ids that a script has named, a line each."""
    return set(answer.decode().split("\n")) if answer else set()


def job_payload(job: Job) -> tuple[object, ...]:
    """Return the lines of ``job`` for ``lua/enqueue.lua``."""
    state = "" if _history(job) == _NO_HISTORY else _state(job, {"token": None})
    if job.checkpoint is not None:
        state += f"\t{job.checkpoint}"
    place = place_of(job, job.due_at, job.lost)
    return job.id, _fixed(job), state, place, _score(job.run_after), _once(job), _extra(job)


def update_payload(job: Job, field: str, text: str) -> tuple[str, str]:
    """Return the name of a hash and the text for it with which ``lua/update.lua`` stores a field of ``job``."""
    changes: dict[str, Any] = {field: text}
    return ("states", text) if field == "checkpoint" else ("extra", _extra(replace(job, **changes)))


def _extra(job: Job) -> str:
    values = {name: stored_value(name, value) for name in EXTRA if (value := getattr(job, name)) is not None}
    return encode(values) if values else ""


def outcome_payload(outcome: Outcome) -> tuple[object, ...]:
    """Return the lines of ``outcome`` for ``lua/finish.lua``.

    The token is in the state, so that the state tells whether it was this outcome that made it.
    """
    job, after = outcome.job, outcome.changes()
    state = _state(job, after | {"token": job.token})
    shared = (job.id, job.token, state, _queue_and_status(job.queue_name, outcome.status))
    if outcome.status == READY:
        return *shared, place_of(job, after["run_after"] or job.enqueued_at, after["lost"]), _score(outcome.run_after)
    return *shared, _once(job), micros(outcome.at)


def claim_payload(claim: Claim, nonce: str) -> tuple[object, ...]:
    """Return the arguments of ``claim`` for ``lua/exchange.lua``."""
    room = (1, 0) if claim.suspects else (claim.threads, claim.coroutines)
    return nonce, word(claim.worker_id), micros_in(claim.lease), *room, *choice_payload(claim)


def choice_payload(claim: Claim) -> tuple[str, str, str, str]:
    """Return which jobs are wanted: the queues, the tags, the kinds for the threads and those for the coroutines."""
    return words_of(claim.queues), words_of(claim.tags), *_kinds_of(claim)


def _kinds_of(claim: Claim) -> tuple[str, str]:
    if claim.suspects:
        return "2" * (claim.threads > 0) + "3" * (claim.coroutines > 0), ""
    return ("02", "13") if claim.suspects is None else ("0", "1")


@lru_cache(4096)
def _queue_and_status(queue_name: str, status: TaskResultStatus) -> str:
    return f"{word(queue_name)}\t{status.value}"


def _score(run_after: datetime | None) -> str:
    return "" if run_after is None else str(micros(run_after))


def _once(job: Job) -> str:
    return "" if job.key is None else word(job.key)


def jobs_of(alias: str, rows: str) -> list[Job]:
    """Return the jobs that a script shows: five lines each."""
    shown = iter(rows.split("\n") if rows else ())
    return [_job(alias, JobTexts(*five)) for five in zip(shown, shown, shown, shown, shown, strict=True)]


class JobTexts(NamedTuple):
    """A job as ``show`` in ``lua/show.lua`` returns it. What there is none of is empty."""

    id: str
    fixed: str
    state: str
    held: str
    """The token, the worker and the time of the claim, and the queue, with tabs between."""

    extra: str


def _job(alias: str, stored: JobTexts) -> Job:
    try:
        return _readable(alias, stored)
    except NOT_OURS as error:
        return _unreadable(alias, stored, error)


def _readable(alias: str, stored: JobTexts) -> Job:
    values = _read_fixed(stored.fixed)
    state, _, checkpoint = stored.state.partition("\t")
    if state:
        values |= _past(state)
    if checkpoint:
        values["checkpoint"] = checkpoint
    if stored.extra:
        values |= _read_extra(stored.extra)
    if stored.held:
        values |= _claim(values.get("started_at"), stored.held)
    return Job(id=stored.id, backend=alias, **values)


def _read_extra(text: str) -> dict[str, Any]:
    """Return the fields in ``text`` that this release knows."""
    stored = _decode(text)
    values = {name: stored[name] for name in EXTRA if name in stored}
    if not all(isinstance(value, FIELDS[name].types) for name, value in values.items()):
        raise TypeError(f"it is {text[:200]!r}")
    return {name: value_of(name, value) for name, value in values.items()}


def _unreadable(alias: str, stored: JobTexts, error: Exception) -> Job:
    """Return what can be read of a job whose text is not ours. Nobody can run it."""
    try:
        past = _past(stored.state.partition("\t")[0])
    except NOT_OURS:
        past = {"status": READY, "errors": ()}
    if stored.held or past["status"] == READY:
        past["errors"] = (*past["errors"], record_of(error, "Redis"))
    if stored.held:
        past |= _claim(past.get("started_at"), stored.held)
        past["queue_name"] = _decode(stored.held.rpartition("\t")[2])
    return replace(Job(id=stored.id, task_path=UNREADABLE, backend=alias, enqueued_at=EPOCH), **past)


def _past(state: str) -> dict[str, Any]:
    values = _read_state(state)
    del values["token"]  # that of a claim that has ended
    return values


def _claim(started_at: datetime | None, held: str) -> dict[str, Any]:
    token, _, claim = held.partition("\t")
    worker_id, at = _worker_and_time(claim)
    now = {"status": RUNNING, "started_at": started_at or at, "last_attempted_at": at}
    return now | {"token": token, "worker_id": worker_id}


@lru_cache(256)
def _worker_and_time(claim: str) -> tuple[str, datetime]:
    """All jobs of one fetch have the same, but for their queue."""
    worker_id, at, _ = claim.split("\t")
    return _decode(worker_id), moment_of(int(at))
