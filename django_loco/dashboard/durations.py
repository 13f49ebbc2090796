"""Durations as pages show them."""

from __future__ import annotations

from ..jobs.presentation.age import age, in_milliseconds, in_seconds

#: The seconds from which a duration is shown in minutes.
MINUTE = 60


def coarse(seconds: float) -> str:
    """Return a duration whose text changes seldom, so that the page changes seldom: ``10 s``, ``3 h 5 min``."""
    step = 5 if seconds < MINUTE else 60
    return age(seconds // step * step)


def estimated(seconds: float | None) -> str:
    """Return a time that was estimated from buckets: ``65 ms``, ``1.5 s``, ``3 min``; ``-`` for none."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return in_milliseconds(max(1, round(seconds * 1000)))
    return in_seconds(seconds, 1) if seconds < MINUTE else coarse(seconds)
