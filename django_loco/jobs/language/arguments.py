"""Finds an argument in the call of a stored job, for filters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...conf import loco_settings
from ...core.job import Job, JobCall
from ...core.serialization import decode_call
from ...log.redaction import shown_value
from ...queues.rows.unreadable import NOT_OURS
from ..stores import backend_of
from .patterns import MISSING, at_path


class Argument:
    """One argument, or a value within it, in the calls of any jobs.

    A name also finds an argument that was passed by place, if this process has the task. Arguments that
    ``LOCO["REDACT"]`` names are not found: whoever may search could otherwise guess them.
    """

    def __init__(self, path: Sequence[str]) -> None:
        """``path``: the name of the argument or its place, then keys and places within it.

        Raises ``ValueError`` if ``LOCO["REDACT"]`` names a part of it.
        """
        self._path = path
        self._hidden = hidden_names(path)
        self._parameters: dict[str, Sequence[str]] = {}

    def of(self, job: Job) -> Any:
        """Return the argument in the call of ``job``; ``MISSING`` if the call does not have it."""
        args, kwargs = decoded(decode_call, job.arguments) or ([], {})
        value = at_path(kwargs, self._path)
        if value is MISSING and args:
            value = self._by_place(job, args)
        return without(value, self._hidden)

    def candidates(self, job: Job | JobCall) -> Iterator[Any]:
        """Yield each value that ``of`` may return, for any names of the task's parameters."""
        args, kwargs = decoded(decode_call, job.arguments) or ([], {})
        by_place = [at_path(each, self._path[1:]) for each in args] if isinstance(args, list) else []
        for value in (at_path(kwargs, self._path), at_path(args, self._path), *by_place):
            yield without(value, self._hidden)

    def _by_place(self, job: Job, args: list[Any]) -> Any:
        first, *rest = self._path
        if first.isdecimal() and not self._hidden:
            return at_path(args, self._path)
        names = self._names(job)
        place = int(first) if first.isdecimal() else names.index(first) if first in names else len(names)
        # If an argument has no name, it is not known whether it has to be hidden.
        if place >= len(names) or names[place] in self._hidden:
            return MISSING
        return at_path(args, (str(place), *rest))

    def _names(self, job: Job) -> Sequence[str]:
        if job.task_path not in self._parameters:
            self._parameters[job.task_path] = backend_of(job.backend).parameters_of(job)
        return self._parameters[job.task_path]


def hidden_names(path: Sequence[str]) -> frozenset[str]:
    """Return the names in ``LOCO["REDACT"]``. Raises ``ValueError`` if one of them is a part of ``path``."""
    names = frozenset(loco_settings().REDACT)
    if hidden := names.intersection(path):
        raise ValueError(f"LOCO['REDACT'] hides {min(hidden)!r}, so that no job can be found by it")
    return names


def without(value: Any, hidden: frozenset[str]) -> Any:
    """Return ``value`` with marks in place of hidden values; ``MISSING`` if it is nested too deeply for that."""
    try:
        return shown_value(value, hidden) if hidden else value
    except RecursionError:
        return MISSING


def decoded(decoder: Callable[[str], Any], text: str) -> Any:
    """Return the value of a stored text; ``None`` if it cannot be read, because somebody has edited it."""
    try:
        return decoder(text)
    except NOT_OURS:
        return None
