"""The items of the two JSON lists that store a job in Redis.

Other releases read these lists, so no item can be added, moved or removed. Fields that they do not have are in
``EXTRA``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from json import JSONDecodeError, JSONDecoder
from json.encoder import encode_basestring_ascii as quote
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple

from ....core.compat import TaskError, TaskResultStatus
from ....core.job import FIELD_NAMES, READY, Job, utcnow
from ....core.job.clock import micros_of, time_of_micros
from ....core.job.retention import kept_until
from ....core.serialization import encode
from ...rows import FIELDS
from ...rows.forms import STATUSES, folded, unfolded
from ...rows.unreadable import texts

_decoder = JSONDecoder()


def json_value(text: str) -> Any:
    """Return the value of JSON text. Raises ``ValueError`` or ``RecursionError``."""
    try:
        value, end = _decoder.raw_decode(text)  # two thirds of the time of decode(), which allows spaces around it
    except JSONDecodeError:
        value, end = None, -1
    return value if end == len(text) else _decoder.decode(text)


@lru_cache(4096)
def word(text: str) -> str:
    """Return a name as a JSON string, which has no line breaks or tabs."""
    return quote(text)


def time_of_entry(job: Job) -> object:
    """Return the time before which ``job`` may not run, or nothing; for a job that has ended, the time of its end.

    If ``RESULT_TTL`` does not decide on an ended job, a tab and the time until which the job is kept follow.
    """
    if job.status == READY:
        return score(job.run_after)
    ended, until = micros_of(job.finished_at or utcnow()), kept_until(job)
    return ended if until is None else f"{ended}\t{micros_of(until)}"


def score(run_after: datetime | None) -> str:
    """Return the time before which a job may not run, or nothing, for the scripts."""
    return "" if run_after is None else str(micros_of(run_after))


def once(job: Job) -> str:
    """Return the once-key of ``job``, or nothing, for the scripts."""
    return "" if job.key is None else word(job.key)


class ListItem(NamedTuple):
    """A field of a job that is an item of one of the two lists."""

    name: str
    types: Any
    """Its types after decoding the JSON."""

    write: Callable[[Any], str]
    """Returns the JSON of a value that is not ``None``. Using ``json`` for whole lists takes three times as long."""

    read: Callable[[Any], Any] | None = None
    """Returns the value of an item that is not ``None``; without it the item is the value."""


def _time(moment: datetime) -> str:
    return str(micros_of(moment))


def _words(words: Iterable[str | int]) -> str:
    return f"[{','.join([word(each) if isinstance(each, str) else str(each) for each in words])}]"


def _worker_ids(worker_ids: Sequence[str]) -> str:
    return _words(folded(worker_ids)) if worker_ids else "[]"


def _errors(errors: Sequence[TaskError]) -> str:
    return f"[{','.join([f'[{word(error.exception_class_path)},{quote(error.traceback)}]' for error in errors])}]"


def _options(options: Mapping[str, Any]) -> str:
    return encode(options) if options else "{}"


def _read_errors(errors: Sequence[Any]) -> tuple[TaskError, ...]:
    return tuple(TaskError(exception_class_path=path, traceback=text) for path, text in map(texts, errors))


_STATUS_WORDS = {status: f'"{status.value}"' for status in TaskResultStatus}
_NUMBER_OR_NONE, _TEXT_OR_NONE = (int, NoneType), (str, NoneType)
#: The part that no run changes.
FIXED = (
    ListItem("task_path", str, word),
    ListItem("arguments", str, quote),
    ListItem("queue_name", str, word),
    ListItem("priority", int, str),
    ListItem("is_async", bool, {True: "true", False: "false"}.__getitem__),
    ListItem("run_after", _NUMBER_OR_NONE, _time, time_of_micros),
    ListItem("enqueued_at", int, _time, time_of_micros),
    ListItem("tags", list, _words, texts),
    ListItem("options", dict, _options),
    ListItem("key", _TEXT_OR_NONE, quote),
)
#: The state. Its token is the token of the claim that the outcome ended.
STATE = (
    ListItem("status", str, _STATUS_WORDS.__getitem__, STATUSES.__getitem__),
    ListItem("run_after", _NUMBER_OR_NONE, _time, time_of_micros),
    ListItem("started_at", _NUMBER_OR_NONE, _time, time_of_micros),
    ListItem("last_attempted_at", _NUMBER_OR_NONE, _time, time_of_micros),
    ListItem("finished_at", _NUMBER_OR_NONE, _time, time_of_micros),
    ListItem("worker_ids", list, _worker_ids, unfolded),
    ListItem("errors", list, _errors, _read_errors),
    ListItem("lost", int, str),
    ListItem("return_value", _TEXT_OR_NONE, quote),
    ListItem("token", _TEXT_OR_NONE, quote),
)
_FIXED_WRITERS = tuple(item.write for item in FIXED)
_STATE_WRITERS = {item.name: item.write for item in STATE}
_state_values: Callable[[Job], tuple[Any, ...]] = attrgetter(*(item.name for item in STATE))
_fixed_values: Callable[[Job], tuple[Any, ...]] = attrgetter(*(item.name for item in FIXED))
#: The fields of the state that show that a job has run. ``run_after`` is in both lists.
HISTORY = tuple(item.name for item in STATE if item.name != "run_after")
_history: Callable[[Job], tuple[Any, ...]] = attrgetter(*HISTORY)
_NO_HISTORY = _history(Job(task_path="", backend=""))


def fixed_text(job: Job) -> str:
    """Return the part of ``job`` that no run changes."""
    return _list_of(_FIXED_WRITERS, _fixed_values(job))


def state_of(job: Job) -> str:
    """Return the state of ``job``."""
    return _list_of(_STATE_WRITERS.values(), _state_values(job))


def _list_of(writers: Iterable[Callable[[Any], str]], values: Iterable[Any]) -> str:
    texts = ["null" if value is None else write(value) for write, value in zip(writers, values, strict=True)]
    return f"[{','.join(texts)}]"


def state_text(job: Job, changes: Mapping[str, Any]) -> str:
    """Return the state of ``job`` with ``changes`` made to it."""
    texts = []
    for name, write in _STATE_WRITERS.items():
        value = changes[name] if name in changes else getattr(job, name)
        texts.append("null" if value is None else write(value))
    return f"[{','.join(texts)}]"


def has_run(job: Job) -> bool:
    """Return whether ``job`` has run before, and so has a state."""
    return _history(job) != _NO_HISTORY


class ListReader:
    """Reads one of the two lists."""

    def __init__(self, items: Sequence[ListItem]) -> None:
        self._names = tuple(item.name for item in items)
        self._places = tuple(map(FIELD_NAMES.index, self._names))
        self._types = tuple(item.types for item in items)
        self._readers = tuple((place, item.read) for place, item in enumerate(items) if item.read)

    def __call__(self, text: str) -> dict[str, Any]:
        """Return the fields in ``text``. Raises one of ``unreadable.NOT_OURS``."""
        return dict(zip(self._names, self._read(text), strict=True))

    def into(self, row: list[Any], text: str) -> None:
        """Put the fields in ``text`` into the values of a job, in the order of its fields. Raises the same."""
        for place, value in zip(self._places, self._read(text), strict=True):
            row[place] = value

    def _read(self, text: str) -> list[Any]:
        values: list[Any] = json_value(text)
        if len(values) != len(self._types) or not all(map(isinstance, values, self._types)):
            raise TypeError(f"it is {text[:200]!r}")
        for place, read in self._readers:
            if (value := values[place]) is not None:
                values[place] = read(value)
        return values


read_fixed, read_state = ListReader(FIXED), ListReader(STATE)

#: The fields that are in neither list. A new release may add some.
EXTRA = tuple(
    name
    for name in FIELDS
    if name not in {item.name for item in (*FIXED, *STATE)} and name not in ("id", "backend", "worker_id", "checkpoint")
)
#: The fields of ``EXTRA`` that nobody but the run writes while it runs, which are one JSON object.
OTHERS = tuple(name for name in EXTRA if name != "signals")
