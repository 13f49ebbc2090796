"""Converts the options of a job to JSON values and back. Exception types and functions are stored as dotted paths.

The store is data, so a path in it runs no code that the project has not allowed. An exception type is looked up in
modules that are already imported. A function must be marked with ``retry.backoff_function``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ...core.imports import path_of
from ...core.job.retry import is_exception_type, marked_backoff
from ...core.task_options import STORED_OPTIONS, resolve_paths
from ..loading import load_module, may_be_imported


def option_to_json(name: str, value: Any) -> Any:
    """Return the option ``name`` as JSON values; exception types and functions become dotted paths.

    Raises ``ValueError`` for a function or type that a worker could not find again by its path.
    """
    match STORED_OPTIONS[name].form:
        case "exceptions":
            return [_stored_type(name, item) for item in value]
        case "function" if callable(value) or isinstance(value, str):
            return _stored_function(name, value)
    return list(value) if isinstance(value, tuple) else value


def _stored_type(name: str, item: Any) -> str:
    kind = resolve_paths(name, [item])[0]
    path = path_of(kind)
    if _imported(path) is not kind:
        raise ValueError(f"{name}: a worker cannot import {item!r}. Define it by name at the top level of a module.")
    return path


def _stored_function(name: str, value: Any) -> str:
    function = resolve_paths(name, value)
    path = path_of(function)
    if marked_backoff(path) is not function or not may_be_imported(path.rpartition(".")[0]):
        raise ValueError(
            f"{name}: a worker cannot find {value!r} by its name. Define it at the top level of a module, with "
            "@backoff_function (from django_loco.tasks) above it."
        )
    return path


def option_from_json(name: str, value: Any) -> Any:
    """Return the option ``name`` from its stored form; exception types that are not imported stay dotted paths.

    Raises ``LookupError`` for an unknown option, ``ValueError`` for an invalid value, and ``ImportError`` for a
    function that is not marked or cannot be imported.
    """
    option = STORED_OPTIONS[name]
    if option.form == "exceptions" and isinstance(value, list):
        types = tuple(_restored_type(item) for item in value)
        if all(isinstance(item, str) or is_exception_type(item) for item in types):  # also names without a module
            return types
    elif option.form == "function" and isinstance(value, str):
        value = _restored_function(value)
    if problem := option.problem(name, value):
        raise ValueError(problem)
    return value


def _restored_type(path: Any) -> Any:
    """Return the exception type at ``path``, or the path if it is not imported: errors are then compared by name."""
    kind = _imported(path) if isinstance(path, str) else path
    return kind if is_exception_type(kind) else path


def _restored_function(path: str) -> Callable[..., float]:
    load_module(path.rpartition(".")[0])
    function = marked_backoff(path)
    if function is None:
        raise ImportError(f"{path} is not a back-off function. Put @backoff_function (from django_loco.tasks) above it")
    return function


def _imported(path: str) -> Any:
    """Return the object at ``path``, which may be within a class; ``None`` if its module is not imported."""
    module, _, rest = path.rpartition(".")
    names = [rest]
    while module and module not in sys.modules:
        module, _, rest = module.rpartition(".")
        names.insert(0, rest)
    item: Any = sys.modules.get(module)
    for name in names:
        item = vars(item).get(name) if hasattr(item, "__dict__") else None
    return item
