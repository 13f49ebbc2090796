"""What ``LOCO["REDACT"]`` hides: arguments of jobs, by name, wherever django-loco shows or logs something of a job.

An argument is hidden by the name of its parameter, whether it was given by position or by keyword, and so is a value
with such a key deeper inside of an argument. Errors tell of arguments in words of their own (``no user 'secret'``);
there the values themselves are looked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

MARK = "********"
#: Shorter values are too likely to be part of something else: hiding each "1" would leave no line number.
SHORTEST = 4

Call = tuple[Sequence[Any], Mapping[str, Any]]


def shown_call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], names: Any) -> Call:
    """Return the arguments of a call as they may be shown: those called one of ``names`` replaced by ``MARK``.

    ``function`` is the task's own, without the ``context`` that it may take first.
    """
    hidden = frozenset(names)
    parameters = _parameters(function)
    named = zip((*parameters, *[""] * len(args)), args, strict=False)
    shown = [MARK if name in hidden else _shown(value, hidden) for name, value in named]
    return shown, {name: MARK if name in hidden else _shown(value, hidden) for name, value in kwargs.items()}


def secrets_of(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], names: Any
) -> tuple[str, ...]:
    """Return the texts and numbers in what ``shown_call`` hides, the longest first."""
    hidden = frozenset(names)
    parameters = _parameters(function)
    call = {f"{position}": value for position, value in enumerate(args) if position >= len(parameters)}
    call |= dict(zip(parameters, args, strict=False)) | dict(kwargs)
    found = {text for secret in _hidden(call, hidden) for text in _texts(secret)}
    return tuple(sorted((text for text in found if len(text) >= SHORTEST), key=len, reverse=True))


def scrubbed(text: str, secrets: Collection[str]) -> str:
    """Return ``text`` with ``MARK`` in place of each of ``secrets``, the longest first."""
    for secret in secrets:
        text = text.replace(secret, MARK)
    return text


@lru_cache(4096)
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of what can be given by position, in order."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(name for name, found in inspect.signature(function).parameters.items() if found.kind in kinds)


def _shown(value: Any, hidden: frozenset[str]) -> Any:
    match value:
        case dict():
            return {key: MARK if key in hidden else _shown(inner, hidden) for key, inner in value.items()}
        case list():
            return [_shown(inner, hidden) for inner in value]
        case _:
            return value


def _hidden(value: Any, hidden: frozenset[str]) -> Iterator[Any]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from [inner] if key in hidden else _hidden(inner, hidden)
        case list():
            for inner in value:
                yield from _hidden(inner, hidden)


def _texts(secret: Any) -> Iterator[str]:
    """Yield the forms in which a value may be part of a message."""
    match secret:
        case dict() | list():
            for inner in secret.values() if isinstance(secret, dict) else secret:
                yield from _texts(inner)
        case str():
            yield secret
            yield repr(secret)[1:-1]
        case int() | float() if not isinstance(secret, bool):
            yield str(secret)
