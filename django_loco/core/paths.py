"""The dotted paths of functions and classes, as jobs and settings name them."""

from __future__ import annotations

from typing import Any


def path_of(item: Any) -> str:
    """Return the dotted path at which ``item``, a function or a class, was defined."""
    return f"{getattr(item, '__module__', '')}.{getattr(item, '__qualname__', '')}"
