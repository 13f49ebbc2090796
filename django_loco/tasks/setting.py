"""The setting ``TASKS``: what keeps Django from making a backend of an alias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.module_loading import import_string

from ..conf import did_you_mean
from ..core.compat import DEFAULT_TASK_BACKEND_ALIAS, task_backends
from ..exceptions import LocoConfigurationError

#: Of an alias. These are Django's.
KEYS = ("BACKEND", "QUEUES", "OPTIONS")
_WRITE = "Write 'django_loco.backend.LocoBackend'."


def faults() -> list[str]:
    """Say what is wrong with aliases: one sentence each, naming setting and remedy."""
    given: Any = task_backends.settings
    if not isinstance(given, Mapping):
        return [f"TASKS is {given!r}; it must be a dict of aliases."]
    found = [f"TASKS has the alias {alias!r}; it must be text." for alias in given if not isinstance(alias, str)]
    return found + [fault for alias in given if (fault := _fault(f"TASKS[{alias!r}]", given[alias]))]


def fault_of(alias: str, path: str) -> str | None:
    """Say why the task at ``path`` cannot have ``alias`` for its backend; ``None``: it can."""
    given: Any = task_backends.settings
    if not isinstance(given, Mapping):
        return faults()[0]
    if alias in given:
        return _fault(f"TASKS[{alias!r}]", given[alias])
    remedy = did_you_mean(str(alias), [str(known) for known in given])
    if alias == DEFAULT_TASK_BACKEND_ALIAS:
        remedy = " Add it to TASKS: tasks that name no backend use it."
    return f"{path}: The connection {alias!r} doesn't exist. There is no such alias in TASKS.{remedy}"  # as Django says


def require_backends() -> None:
    """Raise ``LocoConfigurationError`` for aliases of which no backend can be made.

    Django says of them, wherever it needs one first, neither which setting is wrong nor what to write.
    """
    if found := faults():
        raise LocoConfigurationError(" ".join(found))


def _fault(where: str, given: Any) -> str | None:
    if not isinstance(given, Mapping):
        return f"{where} is {given!r}; it must be a dict with a BACKEND."
    if not isinstance(given.get("OPTIONS", {}), Mapping):
        return f"{where}['OPTIONS'] is {given['OPTIONS']!r}; it must be a dict."
    if "BACKEND" not in given:
        return f"{where} has no BACKEND. {_WRITE}"
    return _fault_of_path(where, given["BACKEND"])


def _fault_of_path(where: str, path: Any) -> str | None:
    if not isinstance(path, str):
        return f"{where}['BACKEND'] is {path!r}; it must be a dotted path. {_WRITE}"
    try:
        found = import_string(path)
    except ImportError as error:
        remedy = f" {_WRITE}" if path.startswith("django_loco") else ""
        return f"{where}: Could not find backend {path!r}: {str(error).rstrip('.')}.{remedy}"  # as Django says
    return None if hasattr(found, "task_class") else f"{where}['BACKEND'] is {path!r}, which is no backend."
