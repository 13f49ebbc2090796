"""Durations in words, for commands and pages."""

from __future__ import annotations

from ...log.labels import duration_text


def age(seconds: float) -> str:
    """Return a duration in its two largest units: ``3 h 5 min``."""
    rest, parts = int(seconds), []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2]) or "0 s"


def elapsed(seconds: float) -> str:
    """Return a measured duration, as the console shows it up to a minute: ``4 ms``, ``3.20 s``, ``2 min 5 s``."""
    return duration_text(seconds) if seconds < 60 else age(seconds)  # noqa: PLR2004 - a minute
