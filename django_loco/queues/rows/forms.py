"""The stored forms of values: text, numbers and ``None``.

Times are UTC and always carry six decimals, so that their texts sort as the times do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from types import NoneType
from typing import Any
from uuid import UUID

from ...core.compat import TaskError, TaskResultStatus
from ...core.serialization import decode
from .unreadable import texts

#: The maximum number of attempts of a stored job. A text that somebody has edited must not fill the memory.
MAX_ATTEMPTS = 10_000_000

#: The place-holder for a stored time that Python cannot represent: PostgreSQL's ``infinity``, or the year 10,000.
BEYOND = datetime.min  # noqa: DTZ901 - as a database without zones gives it

#: Texts of workers or errors that are shorter than this are cached with their values.
MOST_REMEMBERED = 10_000

#: The length of the texts that ``stored_time`` returns.
STORED_LENGTH = 26

STATUSES = {status.value: status for status in TaskResultStatus}


def id_of(stored: str | UUID) -> str:
    """Return a job's id, which PostgreSQL gives as a UUID."""
    return stored if isinstance(stored, str) else stored.hex


def digits_of(text: str) -> str | None:
    """Return an id as stores keep it, from any form of a UUID; ``None`` for a text that is no UUID."""
    try:
        return UUID(text).hex
    except ValueError:
        return None


def tags_of(text: str) -> tuple[str, ...]:
    """Return the tags in a text of ``text_of_tags``."""
    return () if text == "[]" else _tags_of(text)


@lru_cache(256)
def _tags_of(text: str) -> tuple[str, ...]:
    return texts(json.loads(text))


def workers_of(text: str) -> tuple[str, ...]:
    """Return the worker ids in a text of ``text_of_workers``."""
    return () if text == "[]" else _workers_of(text) if len(text) < MOST_REMEMBERED else unfolded(decode(text))


@lru_cache(256)  # most jobs have run on a few workers
def _workers_of(text: str) -> tuple[str, ...]:
    return unfolded(decode(text))


def options_of(text: str) -> Mapping[str, Any]:
    """Return the options in a text of ``text_of_options``."""
    options = {} if text == "{}" else json.loads(text)
    if not isinstance(options, dict):
        raise TypeError("it is not a JSON object")
    return options


def errors_of(text: str) -> tuple[TaskError, ...]:
    """Return the errors in a text of ``text_of_errors``."""
    if text == "[]":
        return ()
    return _errors_of(text) if len(text) < MOST_REMEMBERED else _errors_of.__wrapped__(text)


@lru_cache(32)  # jobs that have failed together often have the same errors
def _errors_of(text: str) -> tuple[TaskError, ...]:
    errors = [texts([error["exception_class_path"], error["traceback"]]) for error in decode(text)]
    return tuple([TaskError(exception_class_path=path, traceback=story) for path, story in errors])


def stored_time(moment: datetime) -> str:
    """Return ``2026-11-21 05:42:00.000000``, in UTC: as Django writes it to SQLite, but always with decimals."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(" ", "microseconds")[:STORED_LENGTH]  # without the zone


def time_of(stored: str | datetime | None) -> datetime | None:
    """Return the time whose stored form is ``stored``. Databases may return it as a ``datetime``."""
    if stored is None:
        return None
    moment = _time_of_text(stored) if isinstance(stored, str) else stored
    if moment.year == BEYOND.year and moment.replace(tzinfo=None) == BEYOND:
        raise ValueError("it is beyond the calendar")
    if moment.tzinfo is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _time_of_text(text: str) -> datetime:
    if len(text) == STORED_LENGTH:
        try:
            return datetime.fromisoformat(f"{text}+00:00")  # a fifth of the time of adding the zone afterwards
        except ValueError:
            pass  # somebody else has stored it, with a zone
    return datetime.fromisoformat(text)


def text_of_workers(worker_ids: Sequence[str]) -> str:
    """Return worker ids as JSON text."""
    if "" in worker_ids:
        return json.dumps(folded(worker_ids))
    return f"[{', '.join(map(json.dumps, worker_ids))}]"  # a third of the time that json.dumps() takes for a list


def folded(worker_ids: Sequence[str]) -> list[str | int]:
    """Return worker ids as they are stored: consecutive empty ids are replaced by their number."""
    if "" not in worker_ids:
        return list(worker_ids)
    groups = [(worker_id, [*group]) for worker_id, group in groupby(worker_ids)]
    return [item for worker_id, group in groups for item in (group if worker_id else (len(group),))]


def unfolded(items: object) -> tuple[str, ...]:
    """Return the worker ids that ``folded`` was given. Raises ``TypeError`` or ``ValueError`` for other values."""
    if not isinstance(items, list) or not {str, int}.issuperset(map(type, items)):
        raise TypeError("it is not a list of texts and numbers")
    if int not in map(type, items):
        return tuple(items)
    if odd := [item for item in items if isinstance(item, int) and not 0 < item <= MAX_ATTEMPTS]:
        raise ValueError(f"{odd[0]} attempts")
    return tuple(word for item in items for word in (("",) * item if isinstance(item, int) else (item,)))


def text_of_tags(tags: Sequence[str]) -> str:
    """Return tags as JSON text with one tag per line, so that ``needle_of_tag`` finds exactly one tag in it."""
    return json.dumps(tags, indent=0) if tags else "[]"


def needle_of_tag(tag: str) -> str:
    """Return a text that occurs in the text of tags if, and only if, ``tag`` is among them.

    JSON text has a bare line break only before the quote that opens a tag. So the text after it cannot match and belong
    to another tag.
    """
    return f"\n{word_of_tag(tag)}"


def word_of_tag(tag: str) -> str:
    """Return a tag as it is in the text of tags."""
    return json.dumps(tag)


def text_of_options(options: Mapping[str, Any]) -> str:
    """Return the options of a call as JSON text."""
    return json.dumps(dict(options)) if options else "{}"


def text_of_errors(errors: Sequence[TaskError]) -> str:
    """Return the errors of a job's attempts as JSON text."""
    if not errors:
        return "[]"
    return json.dumps(
        [{"exception_class_path": error.exception_class_path, "traceback": error.traceback} for error in errors]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredForm:
    """How the values of a field are stored."""

    types: tuple[type, ...] = (str,)
    """The types of stored values."""

    write: Callable[[Any], Any] | None = None
    """Returns the stored form of a value that is not ``None``. Without it the value is stored as it is."""

    read: Callable[[Any], Any] | None = None
    """Returns the value of a stored form that is not ``None``. Raises one of ``unreadable.NOT_OURS``."""

    def stored(self, value: Any) -> Any:
        """Return the stored form of ``value``."""
        return value if self.write is None or value is None else self.write(value)

    def value(self, stored: Any) -> Any:
        """Return the value whose stored form is ``stored``. Raises one of ``unreadable.NOT_OURS``."""
        if not isinstance(stored, self.types):
            raise TypeError(f"it is {type(stored).__name__}")
        return stored if self.read is None or stored is None else self.read(stored)


_TIME: dict[str, Any] = {"write": stored_time, "read": time_of}
#: The stored form of a field by the type that ``Job`` declares for it, or by its name if it needs one of its own.
FORMS: Mapping[str, StoredForm] = {
    "str": StoredForm(),
    "str | None": StoredForm(types=(str, NoneType)),
    "int": StoredForm(types=(int,)),
    "bool": StoredForm(types=(int,), read=bool),
    "datetime": StoredForm(types=(str, datetime), **_TIME),
    "datetime | None": StoredForm(types=(str, datetime, NoneType), **_TIME),
    "tuple[str, ...]": StoredForm(write=text_of_tags, read=tags_of),
    "Mapping[str, Any]": StoredForm(write=text_of_options, read=options_of),
    "TaskResultStatus": StoredForm(write=attrgetter("value"), read=STATUSES.__getitem__),
    "tuple[TaskError, ...]": StoredForm(write=text_of_errors, read=errors_of),
    "id": StoredForm(types=(str, UUID), read=id_of),
    "worker_ids": StoredForm(write=text_of_workers, read=workers_of),
}
