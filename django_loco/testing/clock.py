"""Move the clock that django-loco uses for delays, back-off and schedules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from ..core import running_tests
from ..core.job import utcnow
from ..core.validation import short
from ..exceptions import LocoConfigurationError
from .block import Block


def travel(to: datetime | timedelta) -> Block[None]:
    """Set django-loco's clock to another time within the block or the decorated function. The clock runs on from there.

    ``to`` is an aware ``datetime``, or a ``timedelta`` relative to what the clock shows now. Blocks may be nested. All
    threads see the change. It affects when jobs become due, how long retries are delayed, and when schedules fire. It
    does not affect ``timezone.now()`` in other code: freezegun and time-machine move both.

    Raises ``LocoConfigurationError`` for a naive ``datetime``, and if it is used to decorate a class.
    """
    return Block("travel", lambda: _moved(to))


@contextmanager
def _moved(to: datetime | timedelta) -> Iterator[None]:
    before = running_tests.clock_shift
    running_tests.clock_shift = _shift(to, before or timedelta())
    try:
        yield
    finally:
        running_tests.clock_shift = before


def _shift(to: Any, present: timedelta) -> timedelta:
    if isinstance(to, timedelta):
        return present + to
    if not isinstance(to, datetime) or timezone.is_naive(to):
        raise LocoConfigurationError(
            f"to is {short(to)}; it must be a timedelta or an aware datetime, such as "
            "datetime(2026, 12, 24, 18, tzinfo=UTC)."
        )
    return present + (to - utcnow())
