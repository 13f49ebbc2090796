"""The error for an invalid value of a schedule's option."""

from __future__ import annotations

from ...exceptions import LocoConfigurationError


def invalid(field: str, value: object, requirement: str) -> LocoConfigurationError:
    """Return an error which says that ``field`` is ``value``, and that it must be ``requirement``."""
    return LocoConfigurationError(f"{field} is {value!r}; it must be {requirement}.", field=field)
