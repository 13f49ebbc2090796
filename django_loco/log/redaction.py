"""Hides the arguments of jobs that ``LOCO["REDACT"]`` names, wherever django-loco shows or logs a job.

An argument is hidden by the name of its parameter, whether it is passed by position or by keyword. Within an argument,
a value under a key with such a name is hidden, too. In the text of errors (``no user 'secret'``) the values themselves
are replaced.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

MARK = "********"
#: Shorter values are not replaced in texts: hiding each "1" would spoil every line number.
SHORTEST = 4

Call = tuple[Sequence[Any], Mapping[str, Any]]

_hidden_here: ContextVar[tuple[str, ...]] = ContextVar("django_loco.log.secrets", default=())


def hide(secrets: Sequence[str]) -> None:
    """Hide ``secrets``, the longest first, in each further line of this thread or asyncio task."""
    _hidden_here.set(tuple(secrets))


def hidden_here() -> tuple[str, ...]:
    """Return the secrets that ``hide`` was given in this thread or asyncio task."""
    return _hidden_here.get()


def shown_call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], names: Any) -> Call:
    """Return the arguments of a call, with ``MARK`` in place of the arguments called ``names``.

    ``function`` is the task's function, without a first parameter ``context``.
    """
    hidden = frozenset(names)
    parameters = _parameters(function)
    named = zip((*parameters, *[""] * len(args)), args, strict=False)
    shown = [MARK if name in hidden else shown_value(value, hidden) for name, value in named]
    return shown, {name: MARK if name in hidden else shown_value(value, hidden) for name, value in kwargs.items()}


def secrets_of(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], names: Any
) -> tuple[str, ...]:
    """Return the texts and numbers that ``shown_call`` hides, the longest first."""
    hidden = frozenset(names)
    parameters = _parameters(function)
    call = {f"{position}": value for position, value in enumerate(args) if position >= len(parameters)}
    call |= dict(zip(parameters, args, strict=False)) | dict(kwargs)
    texts = {text for secret in _hidden(call, hidden) for text in _texts(secret)}
    return tuple(sorted((text for text in texts if len(text) >= SHORTEST), key=len, reverse=True))


def scrubbed(text: str, secrets: Collection[str]) -> str:
    """Return ``text`` with ``MARK`` in place of each of ``secrets``. The longest must come first."""
    for secret in secrets:
        text = text.replace(secret, MARK)
    return text


@lru_cache(4096)
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the positional parameters, in order."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(name for name, each in inspect.signature(function).parameters.items() if each.kind in kinds)


def shown_value(value: Any, hidden: Collection[str]) -> Any:
    """Return a decoded JSON value, with ``MARK`` in place of each value whose key is in ``hidden``."""
    match value:
        case dict():
            return {key: MARK if key in hidden else shown_value(inner, hidden) for key, inner in value.items()}
        case list():
            return [shown_value(inner, hidden) for inner in value]
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
    """Yield the texts as which a value may appear in a message."""
    match secret:
        case dict() | list():
            for inner in secret.values() if isinstance(secret, dict) else secret:
                yield from _texts(inner)
        case str():
            yield secret
            yield repr(secret)[1:-1]
        case int() | float() if not isinstance(secret, bool):
            yield str(secret)
