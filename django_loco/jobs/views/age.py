"""Durations in words, for commands and pages."""

from __future__ import annotations


def age(seconds: float) -> str:
    """Return a duration in its two largest units: ``3 h 5 min``."""
    rest, parts = int(seconds), []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2]) or "0 s"
