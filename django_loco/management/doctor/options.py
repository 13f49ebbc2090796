"""The options of ``loco_doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of ``loco_doctor``."""

    production: bool = False
    """Whether to run Django's deployment checks as well."""

    backend: str | None = None
    """The only alias of ``TASKS`` to check; ``None``: all aliases of django-loco."""

    seconds: float = 5.0
    """The time that a store has to answer."""

    max_age: float = 600.0
    """The longest time in seconds that a due job may wait."""

    gunicorn_config: Path | None = None
    """gunicorn's configuration file; ``None``: the file that gunicorn would find."""
