"""Makes the ``limit_key`` of the jobs of a task, from its options ``limits`` and ``limit_key``.

Pages and filters show these keys. They contain a digest in place of a value that ``LOCO["REDACT"]`` hides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ...conf import loco_settings
from ...core.imports import import_string
from ...core.serialization import encode_exact
from ...core.uniqueness import Call, CallSignature, canonical
from ...core.validation import did_you_mean, short
from ...exceptions import RAISED_INTO_JOBS, InvalidArguments
from ...log.plain_text import shown
from .merged_option import merged_option

#: The characters of a value that are kept as they are. Neither a space nor a control character is among them.
PLAIN = "@._-~:/+,="
#: The maximum length of a value; a longer one is replaced by its digest.
MAX_VALUE = 100

#: The value that distinguishes the keys of a limit: the name of an argument, or a function of the arguments.
By = str | Callable[..., Any]


class LimitRule:
    """How the limit keys of the calls of a task are made."""

    def __init__(self, task: Any, limits: Sequence[str], limit_key: By | Mapping[str, By] | None) -> None:
        """Raises ``ValueError`` for a limit that is not declared, or an argument that the task does not have."""
        self._path: str = task.module_path
        self._call = CallSignature.of(task.func, skips=int(task.takes_context))
        _require_declared(limits)
        given = limit_key if isinstance(limit_key, Mapping) else dict.fromkeys(limits, limit_key)
        for name in given:
            if name not in limits:
                raise ValueError(f"limit_key has {short(name)}, which is not among its limits.")
        self._by = {name: self._checked(given.get(name)) for name in sorted(set(limits))}
        self._sources = {by for by in self._by.values() if by is not None}
        self._hidden = loco_settings().REDACT

    def key(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """Return the limit key of a call. The arguments fit the function, and are JSON. Raises ``InvalidArguments``."""
        texts: dict[By, str] = {}
        for by in self._sources:
            value = self._value(by, args, kwargs)
            text = _text(value)
            is_plain = len(text) <= MAX_VALUE and not (self._hidden and self._hides(by, value))
            texts[by] = text if is_plain else _digest(text)
        return " ".join(name if by is None else f"{name}:{texts[by]}" for name, by in self._by.items())

    def is_key_of(self, limit_key: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Return whether ``limit_key`` is the key of a call. Each value may be hidden in the key or not."""
        texts = {by: _text(self._value(by, args, kwargs)) for by in self._sources}
        forms = [
            {name} if by is None else {f"{name}:{texts[by]}", f"{name}:{_digest(texts[by])}"}
            for name, by in self._by.items()
        ]
        keys = limit_key.split(" ")
        return len(keys) == len(forms) and all(key in form for key, form in zip(keys, forms, strict=True))

    def _hides(self, by: By, value: Any) -> bool:
        """Return whether ``LOCO["REDACT"]`` names the argument, or a key within the value."""
        if by in self._hidden or isinstance(value, str):
            return by in self._hidden
        text = canonical(value)
        return any(f"{canonical(name)}:" in text for name in self._hidden)  # no text within a value has such an end

    def _checked(self, by: By | None) -> By | None:
        if isinstance(by, str) and "." in by:
            try:
                by = import_string(by)
            except ImportError as error:
                raise ValueError(f"limit_key is {short(by)}, which cannot be imported: {error}.") from None
        if isinstance(by, str) and by not in self._call.known and not self._call.takes_any:
            raise ValueError(
                f"limit_key names {short(by)}, which is no argument of it.{did_you_mean(by, self._call.known)}"
            )
        if by is not None and not isinstance(by, str) and not callable(by):
            raise ValueError(f"limit_key is {short(by)}; it must be the name of an argument, or a function.")
        return by

    def _value(self, by: By, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if isinstance(by, str):
            return self._call.named(args, kwargs).get(by)
        name = getattr(by, "__qualname__", shown(by))
        try:
            value = by(*args, **kwargs)
        except RAISED_INTO_JOBS:  # they end the job that enqueues
            raise
        except Exception as error:
            raise InvalidArguments(
                f"{self._path}: limit_key={name} raised {type(error).__name__}: {error}. It is called with the "
                "arguments of the task, and returns whose limit counts. Nothing was enqueued."
            ) from error
        try:
            encode_exact(value)
        except (TypeError, ValueError) as error:
            raise InvalidArguments(
                f"{self._path}: limit_key={name} returned {short(value)}; it must return text, a number or other JSON. "
                f"{error} Nothing was enqueued."
            ) from None
        return value


def limit_rule_of(task: Any, limits: Sequence[str] | None, limit_key: Any) -> LimitRule | None:
    """Return the rule of ``task`` with these options; ``None`` if its jobs obey no limits. Raises ``ValueError``."""
    if limits:
        return LimitRule(task, limits, limit_key)
    if limit_key is not None and limits is None:
        raise ValueError('limit_key is given without limits. Add limits=["..."], or remove it.')
    return None


def limit_key_again(task: Any, limit_key: str | None, stored: Call, given: Call) -> str | None:
    """Return the limit key of the new call ``given`` of ``task``, which is like the call ``stored``.

    ``limit_key`` is the limit key of ``stored``. If it follows from the options of the task, a new key is made from the
    new arguments. If it comes from options of ``using()``, the new call has the same key.
    """
    try:
        rule = limit_rule_of(task, *limit_options_of(task))
    except ValueError:  # a limit that is no longer declared
        return limit_key
    if rule is not None and limit_key is not None and rule.is_key_of(limit_key, *stored):
        return rule.key(*given)
    return limit_key


def limit_options_of(task: Any) -> tuple[Sequence[str] | None, Any]:
    """Return the options ``limits`` and ``limit_key`` of ``task``, from ``using()``, ``LOCO["TASKS"]`` or ``@task``."""
    return merged_option(task, "limits"), merged_option(task, "limit_key")


def _require_declared(limits: Sequence[str]) -> None:
    declared = loco_settings().LIMITS
    for name in limits:
        if name not in declared:
            example = f'"{name}": {{"rate": "100/m"}}'
            remedy = did_you_mean(name, list(declared)) or f" Add it there, for example {example}."
            raise ValueError(f"limits has {short(name)}, which LOCO['LIMITS'] does not declare.{remedy}")


def _text(value: Any) -> str:
    return quote(value if isinstance(value, str) else canonical(value), safe=PLAIN, errors="surrogatepass")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
