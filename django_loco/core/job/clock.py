"""The times of jobs: aware, and in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.utils import timezone

from .. import running_tests

#: Stands for a time that never comes: when a job is due that waits without a limit, or until when one is kept forever.
FOREVER = datetime(9998, 1, 1, tzinfo=UTC)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


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


def micros_of(moment: datetime) -> int:
    """Return an aware time in whole microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def time_of_micros(number: int) -> datetime:
    """Return the time that ``micros_of`` turns into ``number``."""
    return _EPOCH + number * _MICROSECOND
