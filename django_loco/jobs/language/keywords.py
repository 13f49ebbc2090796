"""Filters as keyword arguments: ``filter(status="failed", args={"user_id": 7})`` gives the same tokens as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, TypeAlias, TypedDict
from uuid import UUID

from ...core.compat import Task, TaskResult, TaskResultStatus
from ...core.imports import path_of
from ...core.job import FAILED, Job
from ...core.serialization import encode_exact
from ...core.validation import did_you_mean
from ...exceptions import FilterError
from .tokens import Token

#: One value, or several, one of which has to match.
Texts = str | Iterable[str]
Numbers = int | str | Iterable[int | str]
Time = timedelta | datetime | str
References: TypeAlias = "str | UUID | Job | TaskResult[..., Any] | Iterable[str | UUID | Job | TaskResult[..., Any]]"


class Keywords(TypedDict, total=False):
    """The keyword arguments of a filter; those that are ``None`` are left out. Each has the meaning of its word."""

    status: TaskResultStatus | str | Iterable[TaskResultStatus | str] | None
    task: Task[..., Any] | str | Iterable[Task[..., Any] | str] | None
    queue: Texts | None
    tag: Texts | None
    id: References | None
    backend: Texts | None
    older: Time | None
    newer: Time | None
    error: type[BaseException] | str | Iterable[type[BaseException] | str] | None
    args: Mapping[str | int, Any] | None
    metadata: Mapping[str, Any] | None
    priority: Numbers | None
    attempt: Numbers | None
    worker: Texts | None
    batch: Texts | None
    workflow: Texts | None
    schedule: Texts | None
    unique: Texts | None
    limit: Texts | None
    request: Texts | None
    parent: References | None


def tokens_of_keywords(keywords: Mapping[str, Any]) -> Iterator[Token]:
    """Yield the tokens of ``Keywords``. Raises ``FilterError``, ``TypeError`` for an unknown keyword."""
    for word, value in keywords.items():
        if word not in Keywords.__annotations__:
            raise TypeError(f"filters have no keyword {word!r}.{did_you_mean(word, [*Keywords.__annotations__])}")
        if value is None:
            continue
        if word in ("args", "metadata"):
            yield from _of_mapping(word, value)
        elif values := tuple(text for each in _listed(value) for text in _texts_of(word, each)):
            yield Token(word=word, values=values)
        else:
            raise FilterError(f"{word} is empty, so that no job would match")


def _of_mapping(word: str, value: object) -> Iterator[Token]:
    if not isinstance(value, Mapping):
        raise FilterError(f'{word} is {value!r}; it must be a dict such as {{"user_id": 7}}')
    for name, each in value.items():
        try:
            yield Token(word=f"{word}.{name}", values=(encode_exact(each),))
        except (TypeError, ValueError) as error:
            raise FilterError(f"{word}.{name}: {error}") from None


def _listed(value: Any) -> Iterable[Any]:
    # An exception type and a task are no lists, even if they can be iterated.
    if isinstance(value, str | type | Task) or not isinstance(value, Iterable):
        return (value,)
    return value


def _texts_of(word: str, value: Any) -> tuple[str, ...]:
    if value == FAILED and isinstance(value, TaskResultStatus):
        # The status of the store includes cancelled jobs. The word "failed" of filters leaves them out.
        return "failed", "cancelled"
    for kind, text_of in _TEXTS.items():
        if isinstance(value, kind) and not isinstance(value, bool):
            return (text_of(value),)
    raise FilterError(f"{word} is {value!r}, which is of another type than filters take")


_TEXTS: Mapping[type, Callable[[Any], str]] = {
    str: str,
    int: str,
    UUID: attrgetter("hex"),
    timedelta: lambda length: f"{f'{max(0.0, length.total_seconds()):f}'.rstrip('0').rstrip('.')}s",
    datetime: datetime.isoformat,
    Task: attrgetter("module_path"),
    Job: attrgetter("id"),
    TaskResult: attrgetter("id"),
    type: path_of,
}
