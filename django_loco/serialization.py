"""JSON in, JSON out: what every queue stores of arguments and results, and nothing else.

A value is encoded once, when it is enqueued or returned, and travels as text; so a job sees the same
arguments whichever queue carried it, in this process or another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def _plain(value: Any) -> Any:
    """Turn what Django's contract allows beyond JSON's own types into those: mappings, sequences, UTF-8 bytes."""
    match value:
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise ValueError(f"Unsupported value: {type(value)} that is not UTF-8") from None
        case Mapping():
            return dict(value)
        case Sequence():
            return list(value)
        case _:
            raise TypeError(f"Unsupported type: {type(value)}")


_encoder = json.JSONEncoder(default=_plain, allow_nan=False, separators=(",", ":"))


def encode(value: Any) -> str:
    """Return ``value`` as JSON text (ASCII only, so that every store takes it).

    Raises ``TypeError`` for a type that JSON does not have (a set, a datetime), ``ValueError`` for such a value (NaN).
    """
    if value is None:  # what most jobs return
        return "null"
    try:
        return _encoder.encode(value)
    except RecursionError:
        raise ValueError("Unsupported value: nested too deeply for JSON") from None


decode: Callable[[str], Any] = json.JSONDecoder().decode


def encode_call(function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return the arguments of a call to ``function`` (named in errors) as JSON text ``[args, kwargs]``.

    Raises the ``TypeError`` or ``ValueError`` of ``encode``, naming the first argument at fault.
    """
    try:
        return encode([args, kwargs])
    except (TypeError, ValueError):
        named = [
            *((f"argument {i}", value) for i, value in enumerate(args)),
            *((f"{k!r}", v) for k, v in kwargs.items()),
        ]
        for name, value in named:
            try:
                encode(value)
            except (TypeError, ValueError) as error:
                raise type(error)(
                    f"{function}: {name} cannot be stored as JSON. {error}. Pass an id or another plain value."
                ) from None
        raise


def decode_call(text: str) -> tuple[list[Any], dict[str, Any]]:
    """Return ``(args, kwargs)`` from what ``encode_call`` made."""
    args, kwargs = decode(text)
    return args, kwargs
