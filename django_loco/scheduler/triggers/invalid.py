"""The error for an invalid value of a schedule's option."""

from __future__ import annotations

from datetime import timedelta

from ...exceptions import LocoConfigurationError


def invalid(field: str, value: object, requirement: str) -> LocoConfigurationError:
    """Return an error which says that ``field`` is ``value``, and that it must be ``requirement``."""
    shown = f"{value.total_seconds():g} s" if isinstance(value, timedelta) else repr(value)
    return LocoConfigurationError(f"{field} is {shown}; it must be {requirement}.", field=field)
