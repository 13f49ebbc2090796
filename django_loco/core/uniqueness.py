"""Unique jobs: their keys, and whether a job holds its key.

A job of a unique task has a *key*. Of all jobs of an alias with the same key, one at most *holds* it. The field
``unique_until`` says until when a job holds its key:

``finished``
    from its enqueue to its end: also while it waits for another attempt, and after the death of a worker.
``started``
    from its enqueue until a worker fetches it for the first time. It never takes the key back.
a time
    until then, whatever becomes of the job; another job may take the key afterwards.

So no key is ever locked or released. Whether a job holds its key follows from its state, and a deleted job holds
nothing. In databases a unique index has the same condition. In Redis the scripts that change the state of a job also
change the owner of its key.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from ..exceptions import RAISED_INTO_JOBS, InvalidArguments
from ..log.plain_text import shown
from .job import READY, Job
from .serialization import encode_exact
from .validation import did_you_mean, short

STARTED, FINISHED = "started", "finished"
#: The arguments of a call: by place, and by name.
Call = tuple[Sequence[Any], Mapping[str, Any]]
_DIGEST = re.compile("[0-9a-f]{64}")


def holds_key(job: Job, now: datetime) -> bool:
    """Return whether ``job`` holds its unique key at the time ``now``, which is aware."""
    if job.unique_key is None:
        return False
    if job.unique_until == FINISHED:
        return job.finished_at is None
    if job.unique_until == STARTED:
        return job.status == READY and job.started_at is None
    return now < time_of_until(job.unique_until)


def takes_key(before: Job, after: Job | None, now: datetime) -> bool:
    """Return whether the change from ``before`` to ``after`` lets the job hold a unique key that it did not hold."""
    if after is None or after.unique_key is None:
        return False
    return holds_key(after, now) and not (holds_key(before, now) and before.unique_key == after.unique_key)


def time_of_until(until: str | None) -> datetime:
    """Return the time in ``unique_until``; the beginning of time if somebody has written another text."""
    try:
        return datetime.fromisoformat(until or "").astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


def is_time(until: str | None) -> bool:
    """Return whether a job keeps its key until a time, and not until its start or end."""
    return until not in (STARTED, FINISHED)


def digest_of(text: str) -> str:
    """Return the key of jobs with ``unique_key=text``. A text that is such a key already is returned unchanged."""
    return text if _DIGEST.fullmatch(text) else _digest("text", text)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()


class UniqueRule:
    """How the keys of the calls of a task are made, from the options of ``@task`` and ``using()``."""

    def __init__(self, task: Any) -> None:
        """``task`` has ``unique`` or ``unique_key``. Raises ``ValueError`` if ``unique`` names an unknown argument."""
        self._path: str = task.module_path
        text, duration = task.unique_key, task.unique_for
        self._key = None if text is None else digest_of(text)
        self._until: str = task.unique_until or FINISHED
        self._seconds: float | None = duration.total_seconds() if isinstance(duration, timedelta) else duration
        self._unique: bool | Sequence[str] | Callable[..., Any] = task.unique
        self._call = CallSignature.of(task.func, skips=int(task.takes_context))
        self._chosen = self._unique if isinstance(self._unique, tuple | list) else None
        for name in self._chosen or ():
            if name not in self._call.known and not self._call.takes_any:
                raise ValueError(
                    f"unique names {short(name)}, which is no argument of it.{did_you_mean(name, self._call.known)}"
                )

    def fields(self, args: Sequence[Any], kwargs: Mapping[str, Any], now: datetime) -> tuple[str, str]:
        """Return the key of a call that is enqueued at ``now``, and until when its job holds it.

        The arguments fit the function, and are JSON. Raises ``InvalidArguments``.
        """
        key = self._key or self._key_of(args, kwargs)
        if self._seconds is None:
            return key, self._until
        return key, (now + timedelta(seconds=self._seconds)).isoformat(" ", "microseconds")

    def _key_of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        if callable(self._unique):
            return _digest(self._path, self._said(self._unique, args, kwargs))
        given = self._call.named(args, kwargs)
        if self._chosen is not None:
            given = {name: given.get(name) for name in self._chosen}
        return _digest(self._path, canonical(given))

    def _said(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        name = getattr(function, "__qualname__", shown(function))
        try:
            value = function(*args, **kwargs)
        except RAISED_INTO_JOBS:  # they end the job that enqueues
            raise
        except Exception as error:
            raise InvalidArguments(
                f"{self._path}: unique={name} raised {type(error).__name__}: {error}. It is called with the arguments "
                "of the task, and returns what tells the calls apart. Nothing was enqueued."
            ) from error
        try:
            if value is None:
                raise TypeError("None tells no calls apart.")
            encode_exact(value)
            return canonical(value)
        except (TypeError, ValueError) as error:
            raise InvalidArguments(
                f"{self._path}: unique={name} returned {short(value)}; it must return text, a number or other JSON. "
                f"{error} Nothing was enqueued."
            ) from None


def rule_of(task: Any) -> UniqueRule | None:
    """Return the rule of ``task``; ``None`` if its jobs have no unique keys. Raises ``ValueError`` for its options."""
    unique, text = getattr(task, "unique", None), getattr(task, "unique_key", None)
    if text is not None and not (isinstance(text, str) and text):
        raise ValueError(f"unique_key is {short(text)}; it must be text, not empty.")
    if not unique and text is None:
        for name in ("unique_until", "unique_for", "on_duplicate", "max_wait"):
            if unique is None and getattr(task, name, None) is not None:
                raise ValueError(f"{name} is given without unique. Add unique=True, or remove it.")
        return None
    _require_duplicate_options(task)
    if task.unique_until is not None and task.unique_for is not None:
        raise ValueError(
            "unique_until and unique_for are both given. A key is held until the job has started or finished, or for "
            "a time; remove one of them."
        )
    return UniqueRule(task)


def _require_duplicate_options(task: Any) -> None:
    what = getattr(task, "on_duplicate", None)
    if getattr(task, "max_wait", None) is not None and what not in ("replace", "rerun"):
        raise ValueError('max_wait is given without on_duplicate="replace" or "rerun", and nothing is put off.')
    if what == "rerun" and task.unique_for is not None:
        raise ValueError(
            'on_duplicate="rerun" runs once more after the job has finished, so it cannot be given with unique_for. '
            "Remove one of them."
        )


def keys_again(task: Any, job: Job, stored: Call, given: Call) -> tuple[str | None, str | None]:
    """Return the unique key of a new call of ``task`` like ``job``, and until when its job holds the key.

    ``stored`` are the arguments of ``job``, ``given`` the arguments of the new call. If ``job`` holds its key until a
    time, the new call has no key.
    """
    if job.unique_key is None or is_time(job.unique_until):
        return None, None
    rule = rule_of(task)
    if rule is not None and rule.fields(*stored, job.enqueued_at)[0] == job.unique_key:
        return rule.fields(*given, job.enqueued_at)[0], job.unique_until
    return job.unique_key, job.unique_until


class CallSignature:
    """The arguments that a function takes."""

    def __init__(self, function: Callable[..., Any], skips: int) -> None:
        parameters = _parameters(function)[skips:]
        self._names = [
            each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        ]
        by_place = {each.name for each in parameters if each.kind is each.POSITIONAL_ONLY}
        self._others = by_place | {"*", "**"} if by_place else by_place
        """Keys of ``named`` with a meaning of their own. In a call, ``**kwargs`` may contain the same names."""

        self._defaults = {each.name: each.default for each in parameters if _is_json(each.default)}
        self.known = [each.name for each in parameters if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]
        self.takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters)

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(function: Callable[..., Any], *, skips: int) -> CallSignature:
        """Return the signature of ``function`` without its first parameters, as many as ``skips`` says."""
        return CallSignature(function, skips)

    def named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call by name, with defaults; further positional arguments are under ``*``.

        A keyword argument may have the name of a positional-only parameter. Such arguments are under ``**``.
        """
        given = {**self._defaults, **dict(zip(self._names, args, strict=False))}
        if self._others.isdisjoint(kwargs):
            given |= kwargs
        else:
            given |= {name: value for name, value in kwargs.items() if name not in self._others}
            given["**"] = {name: value for name, value in kwargs.items() if name in self._others}
        return given | {"*": args[len(self._names) :]} if len(args) > len(self._names) else given


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function, follow_wrapped=False).parameters.values())
    except (TypeError, ValueError):  # a function in C without a signature
        return []


def _is_json(value: object) -> bool:
    if value is inspect.Parameter.empty:
        return False
    try:
        encode_exact(value)
    except (TypeError, ValueError):
        return False
    return True


def canonical(value: Any) -> str:
    """Return ``value`` as JSON text, the same for equal values."""
    return _encoder.encode(value)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value)


_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_plain)
