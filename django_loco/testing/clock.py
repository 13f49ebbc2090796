"""Move the clock by which django-loco judges delays, back-off and schedules."""

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
    """Let django-loco's clock show another time within the block, or in the decorated function. It goes on from there.

    ``to`` is an aware ``datetime``, or a ``timedelta`` from the time that the clock shows now. Blocks may be nested.
    All threads see it. It moves the clock by which jobs become due, retries are delayed and schedules fire, and
    not ``timezone.now()`` in other code: freezegun and time-machine move both.

    Raises ``LocoConfigurationError`` for a naive ``datetime``, and for a class, which it cannot decorate.
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
