"""Checks and resolves the values of options that code and ``LOCO["TASKS"]`` give."""

from collections.abc import Mapping
from typing import Any

from ..imports import import_string
from ..validation import did_you_mean
from .declared import STORED_OPTIONS


def problems_of_tasks(tasks: Mapping[str, Any], limits: Any) -> list[str]:
    """Return one sentence for each mistake in the options of ``LOCO["TASKS"]``. ``limits``: the names of all limits."""
    messages = []
    for path, options in tasks.items():
        setting = f"LOCO['TASKS'][{path!r}]"
        if not isinstance(options, Mapping):
            messages.append(f"{setting} must be a dict of options, not {options!r}.")
            continue
        for name, value in options.items():
            if name not in STORED_OPTIONS:
                messages.append(f"{setting}[{name!r}] is unknown.{did_you_mean(str(name), tuple(STORED_OPTIONS))}")
            elif problem := STORED_OPTIONS[name].problem(name, value):
                messages.append(f"{setting}: {problem}")
            elif name == "limits" and (unknown := [each for each in value if each not in limits]):
                remedy = did_you_mean(unknown[0], [*limits])
                messages.append(f"{setting} has the limit {unknown[0]!r}; LOCO['LIMITS'] does not declare it.{remedy}")
    return messages


def resolve_paths(name: str, value: Any) -> Any:
    """Return the value of the option ``name`` in code or settings, with dotted paths replaced by their objects.

    Not for values from the store, because it imports any path: see ``tasks.stored.options``. Raises ``ImportError`` for
    a path that does not exist, ``ValueError`` for an invalid value.
    """
    option = STORED_OPTIONS[name]
    if problem := option.problem(name, value):
        raise ValueError(problem)
    if option.form == "exceptions":
        value = tuple(import_string(item) if isinstance(item, str) else item for item in value)
    elif option.form == "function" and isinstance(value, str):
        value = import_string(value)
    if problem := option.problem(name, value):
        raise ValueError(problem)
    return value
