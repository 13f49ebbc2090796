"""Encodes arguments and return values as JSON, decodes them, and limits their size. Every queue stores this form.

A value is encoded once, when it is enqueued or returned, and is text from then on. So a job gets the same arguments
from every queue, in this process or another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from types import NoneType
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise

from ..conf import loco_settings
from ..exceptions import InvalidArguments

#: The remedy for a value of a type that JSON does not have. The first type that fits is used.
_REMEDIES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (datetime, "Use its isoformat(), and datetime.fromisoformat() in the task."),
    (date, "Use its isoformat(), and date.fromisoformat() in the task."),
    (time, "Use its isoformat(), and time.fromisoformat() in the task."),
    (timedelta, "Use its total_seconds(), and timedelta(seconds=...) in the task."),
    (Decimal, "Use str() of it, and Decimal() in the task."),
    (UUID, "Use str() of it, and UUID() in the task."),
    (Model, "Use its pk, and load the object in the task."),
    (QuerySet, 'Use list(queryset.values_list("pk", flat=True)), and load the objects in the task.'),
    (HttpRequest, "Use the values that the task needs of it."),
    ((bytes, bytearray, memoryview), "Use text: bytes.decode(), or base64.b64encode() for any bytes."),
    ((set, frozenset), "Use a list."),
    (Promise, "Use str() of it."),
    (PurePath, "Use str() of it."),
    (Enum, "Use its value."),
)
#: The arguments of one ``enqueue_many`` may take this many times the size allowed for one job.
BATCH_FACTOR = 64
#: The remedy for data that are too large.
_SIZE_REMEDY = "Keep the data in a file or a row and use its path or id, or raise the limit."
_PLAIN_VALUE = "Use an id or another plain value."
#: Types without keys. Most values are of one of these types.
_SCALARS = frozenset((str, int, float, bool, NoneType))
_BYTES = (bytes, bytearray, memoryview)


def _refused(value: Any) -> TypeError:
    remedy = next((remedy for kind, remedy in _REMEDIES if isinstance(value, kind)), _PLAIN_VALUE)
    return TypeError(f"Unsupported type: {type(value)}. {remedy}")


def _exact(value: Any) -> Any:
    """Return a mapping or sequence of any type as a dict or list. Raises ``TypeError`` for other values."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, _BYTES):
        return list(value)
    raise _refused(value)


def _lenient(value: Any) -> Any:
    """Return ``_exact(value)``, or bytes as text."""
    if not isinstance(value, bytes):
        return _exact(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError(f"Unsupported value: {type(value)} that is not UTF-8") from None


_exact_encoder = json.JSONEncoder(default=_exact, allow_nan=False, separators=(",", ":"))
_encoder = json.JSONEncoder(default=_lenient, allow_nan=False, separators=(",", ":"))


def encode(value: Any) -> str:
    """Return ``value``, which a task has returned, as JSON text. It is ASCII only, which every store accepts.

    As Django's Tasks framework requires, bytes in UTF-8 become text, and keys such as ``1`` become ``"1"``.

    Raises ``TypeError`` for a type that JSON does not have (a set, a datetime), ``ValueError`` for such a value (NaN).
    """
    if value is None:  # the return value of most jobs
        return "null"
    return _encoded(_encoder, value)


def encode_exact(value: Any) -> str:
    """Return ``value``, which a task will read, as JSON text. Refuses values that JSON would change, such as bytes.

    The exceptions are tuples, which become lists, and mappings, which become dicts. Raises ``TypeError`` or
    ``ValueError``.
    """
    text = _encoded(_exact_encoder, value)
    _require_text_keys(value)  # after the encoder, which refuses values that contain themselves
    return text


def _encoded(encoder: json.JSONEncoder, value: Any) -> str:
    try:
        return encoder.encode(value)
    except RecursionError:
        raise ValueError("Unsupported value: nested too deeply for JSON") from None


def _require_text_keys(value: Any) -> None:
    pending = [value]
    while pending:
        each = pending.pop()
        if type(each) is list or type(each) is tuple:
            inner: Iterable[Any] = each
        elif isinstance(each, Mapping):
            if others := [key for key in tuple(each) if not isinstance(key, str)]:  # a copy: a thread may add to it
                raise TypeError(f"Unsupported key: {others[0]!r}. Use text, such as {str(others[0])!r}, as JSON does.")
            inner = tuple(each.values())
        else:
            inner = each if isinstance(each, Sequence) and not isinstance(each, str) else ()
        pending += [item for item in inner if type(item) not in _SCALARS]


decode: Callable[[str], Any] = json.JSONDecoder().decode


def are_scalars(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Return whether all arguments of a call are scalars, which are equal after encoding and decoding."""
    return _SCALARS.issuperset(map(type, args)) and (
        not kwargs or (_SCALARS.issuperset(map(type, kwargs.values())) and set(map(type, kwargs)) == {str})
    )


def encode_call(function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return the arguments of a call as JSON text ``[args, kwargs]``. ``function`` is its path, for errors.

    Raises ``InvalidArguments``, which names the first invalid argument and the remedy, or the size if it is too large.
    """
    try:
        text = _exact_encoder.encode([args, kwargs]) if are_scalars(args, kwargs) else encode_exact([args, kwargs])
    except (TypeError, ValueError) as error:
        raise InvalidArguments(f"{function}: {_first_error(args, kwargs) or error}") from None
    if problem := _size_problem(text, "MAX_ARGUMENTS_SIZE", loco_settings().MAX_ARGUMENTS_SIZE):
        raise InvalidArguments(f"{function}: the arguments take {problem}")
    return text


def _first_error(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    named = [*((f"argument {i}", value) for i, value in enumerate(args)), *((f"{k!r}", v) for k, v in kwargs.items())]
    for name, value in named:
        try:
            encode_exact(value)
        except (TypeError, ValueError) as error:
            remedy = ". Pass None or text in its place." if "JSON compliant" in f"{error}" else ""
            return f"{name} cannot be stored as JSON. {error}{remedy}"
    return ""


def call_of(item: tuple[Any, ...] | Mapping[str, Any] | Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the arguments of a call in a list of calls: a tuple, a dict of keyword arguments, or the only argument."""
    match item:
        case tuple():
            return item, {}
        case Mapping():
            return (), item
        case _:
            return (item,), {}


def decode_call(text: str) -> tuple[list[Any], dict[str, Any]]:
    """Return ``(args, kwargs)`` from the text of ``encode_call``."""
    args, kwargs = decode(text)
    return args, kwargs


def require_batch_size(calls: Sequence[str]) -> None:
    """Raise ``InvalidArguments`` if the arguments of ``calls``, each as JSON, are too large for one call."""
    limit = BATCH_FACTOR * loco_settings().MAX_ARGUMENTS_SIZE
    size = sum(map(len, calls))
    if size > limit:
        raise InvalidArguments(
            f"The arguments of {len(calls):,} jobs take {size:,} bytes together, and one enqueue_many may have "
            f"{limit:,} ({BATCH_FACTOR} times LOCO['MAX_ARGUMENTS_SIZE']). Enqueue them in several calls."
        )


def require_result_size(label: str, text: str) -> None:
    """Raise ``ValueError`` if the JSON ``text`` is too large. ``label`` names it: a return value or a checkpoint."""
    if problem := _size_problem(text, "MAX_RESULT_SIZE", loco_settings().MAX_RESULT_SIZE):
        raise ValueError(f"{label} takes {problem}")


def cut(text: str, size: int, reason: str) -> str:
    """Return ``text``. If it takes more than ``size`` bytes in UTF-8, a note with the ``reason`` replaces its middle.

    Both ends are kept because a traceback starts with the call and ends with the error. The result takes at most
    ``size`` bytes, unless the note alone takes more.
    """
    if 4 * len(text) <= size or len(data := text.encode(errors="surrogatepass")) <= size:
        return text
    # No note is longer than the one that says that nothing was kept.
    half = max(0, size - len(_left_out(len(data), len(data), reason).encode())) // 2
    head, tail = (part.decode(errors="ignore") for part in (data[:half], data[len(data) - half :]))
    return f"{head}{_left_out(len(data) - 2 * half, len(data), reason)}{tail}"


def _left_out(count: int, total: int, reason: str) -> str:
    return f"\n[... {count:,} of {total:,} bytes were left out here: {reason} ...]\n"


def _size_problem(text: str, setting: str, limit: int) -> str | None:
    if len(text) <= limit:
        return None
    return f"{len(text):,} bytes as JSON, and LOCO[{setting!r}] allows {limit:,}. {_SIZE_REMEDY}"
