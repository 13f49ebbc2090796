"""Validates the setting ``TASKS``, so that an error names the alias and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.compat import DEFAULT_TASK_BACKEND_ALIAS, task_backends
from ..core.imports import import_string
from ..core.validation import did_you_mean
from ..exceptions import LocoConfigurationError

#: The keys of an alias, as Django defines them.
KEYS = ("BACKEND", "QUEUES", "OPTIONS")
_WRITE = "Write 'django_loco.backend.LocoBackend'."


def problems() -> list[str]:
    """Return one sentence for each mistake in ``TASKS``, with the setting and the remedy."""
    given: Any = task_backends.settings
    if not isinstance(given, Mapping):
        return [f"TASKS is {given!r}; it must be a dict of aliases."]
    messages = [f"TASKS has the alias {alias!r}; it must be text." for alias in given if not isinstance(alias, str)]
    return messages + [problem for alias in given if (problem := _problem(f"TASKS[{alias!r}]", given[alias]))]


def problem_of(alias: str, path: str) -> str | None:
    """Return why the task at ``path`` cannot use the backend ``alias``; ``None`` if it can."""
    given: Any = task_backends.settings
    if not isinstance(given, Mapping):
        return problems()[0]
    if alias in given:
        return _problem(f"TASKS[{alias!r}]", given[alias])
    remedy = did_you_mean(str(alias), [str(name) for name in given])
    if alias == DEFAULT_TASK_BACKEND_ALIAS:
        remedy = " Add it to TASKS: tasks that name no backend use it."
    return f"{path}: The connection {alias!r} doesn't exist. TASKS has no such alias.{remedy}"  # as Django says


def require_backends() -> None:
    """Raise ``LocoConfigurationError``, which lists all mistakes in ``TASKS``.

    Django's own errors name neither the setting nor the remedy.
    """
    if messages := problems():
        raise LocoConfigurationError(" ".join(messages))


def _problem(setting: str, given: Any) -> str | None:
    if not isinstance(given, Mapping):
        return f"{setting} is {given!r}; it must be a dict with a BACKEND."
    if not isinstance(given.get("OPTIONS", {}), Mapping):
        return f"{setting}['OPTIONS'] is {given['OPTIONS']!r}; it must be a dict."
    if "BACKEND" not in given:
        return f"{setting} has no BACKEND. {_WRITE}"
    return _path_problem(setting, given["BACKEND"])


def _path_problem(setting: str, path: Any) -> str | None:
    if not isinstance(path, str):
        return f"{setting}['BACKEND'] is {path!r}; it must be a dotted path. {_WRITE}"
    try:
        backend = import_string(path)
    except ImportError as error:
        remedy = f" {_WRITE}" if path.startswith("django_loco") else ""
        return f"{setting}: Could not find backend {path!r}: {str(error).rstrip('.')}.{remedy}"  # as Django says
    return None if hasattr(backend, "task_class") else f"{setting}['BACKEND'] is {path!r}, which is not a backend."
