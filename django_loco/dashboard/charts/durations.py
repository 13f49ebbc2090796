"""Durations as pages show them."""

from __future__ import annotations

from django.utils.translation import gettext as _

from ...jobs.presentation.age import age, in_milliseconds, in_seconds

#: From this many seconds on, a duration is shown in minutes.
MINUTE = 60


def coarse(seconds: float) -> str:
    """Return a rough duration: ``10 s``, ``3 h 5 min``. It changes seldom, and so does the page that shows it."""
    step = 5 if seconds < MINUTE else 60
    return age(seconds // step * step)


def oldest(seconds: float | None, *, is_read: bool) -> str:
    """Return how long the oldest due job of a queue has waited; ``-`` if there is none."""
    if not is_read:
        return _("not read")
    return "-" if seconds is None else coarse(seconds)


def estimated(seconds: float | None) -> str:
    """Return a time that was estimated from buckets: ``65 ms``, ``1.5 s``, ``3 min``; ``-`` for none."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return in_milliseconds(max(1, round(seconds * 1000)))
    return in_seconds(seconds, 1) if seconds < MINUTE else coarse(seconds)
