"""The times of jobs: aware, and in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils import timezone

from .. import running_tests


def utcnow() -> datetime:
    """Return the time now, aware and in UTC regardless of ``USE_TZ``, like all times of a job."""
    now, shift = datetime.now(UTC), running_tests.clock_shift
    return now if shift is None else now + shift


def aware(moment: datetime) -> datetime:
    """Return ``moment``; if it has no time zone, it gets the time zone of the site.

    Without ``USE_TZ``, code and databases give times without a time zone. The reader of a page may have another time
    zone, which is not used here.
    """
    return timezone.make_aware(moment, timezone.get_default_timezone()) if timezone.is_naive(moment) else moment
