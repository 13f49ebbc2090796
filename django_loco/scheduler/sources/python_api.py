"""The calls that declare schedules in Python, also as decorators of a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar, Unpack

from ...core.compat import Task
from ..options import AfterOptions, TickOptions, ZonedOptions
from ..triggers.cron import Cron
from ..triggers.parsing import (
    after_of,
    daily_at,
    hourly_at,
    interval_of,
    moment_of,
    monthly_on,
    parse_schedule,
    weekly_on,
    zone_of,
)
from ..triggers.trigger import Interval, Once, Trigger

T = TypeVar("T")

#: Stands for the task if the call is a decorator.
LATER: Any = object()


class Decorator(Protocol):
    """Declares a schedule of the task that it decorates."""

    def __call__(self, task: T, /) -> T:
        """Declare it and return ``task``."""


class PythonApi(ABC):
    """The calls. Each takes the task to run; without a task it returns a decorator.

    A subclass implements ``_add``. (It returns the given task; the types describe the call as a decorator.)
    """

    def every(
        self,
        task: Task[..., Any] = LATER,
        interval: timedelta = timedelta(0),
        *,
        weeks: float = 0,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        phase: float | timedelta = 0,
        **options: Unpack[TickOptions],
    ) -> Decorator:
        """Run ``task`` at a fixed interval, the sum of what is given: ``every(tick, minutes=1, seconds=30)``.

        Intervals are counted from the start of 1970 in UTC, whenever the scheduler was started, so that ``hours=1``
        is on the hour; ``phase`` (seconds, or a ``timedelta``) shifts that. An interval does not follow the wall
        clock; for a time of the day use ``daily``.
        """
        units = {"weeks": weeks, "days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
        trigger = partial(interval_of, interval, units, phase)
        return self._add("every", task, options, trigger, TickOptions.__optional_keys__)

    def every_minute(self, task: Task[..., Any] = LATER, **options: Unpack[TickOptions]) -> Decorator:
        """Run ``task`` at the start of every minute."""
        return self._add(
            "every_minute", task, options, lambda: Interval(timedelta(minutes=1)), TickOptions.__optional_keys__
        )

    def hourly(self, task: Task[..., Any] = LATER, *, at: int = 0, **options: Unpack[ZonedOptions]) -> Decorator:
        """Run ``task`` every hour, at minute ``at`` (0 to 59)."""
        return self._add_cron("hourly", task, options, lambda: hourly_at(at))

    def daily(
        self, task: Task[..., Any] = LATER, *, at: str | time = "00:00", **options: Unpack[ZonedOptions]
    ) -> Decorator:
        """Run ``task`` every day at the time ``at``: ``"04:00"``, or a ``datetime.time``."""
        return self._add_cron("daily", task, options, lambda: daily_at(at))

    def weekly(
        self,
        task: Task[..., Any] = LATER,
        *,
        on: str | Sequence[str] = "monday",
        at: str | time = "00:00",
        **options: Unpack[ZonedOptions],
    ) -> Decorator:
        """Run ``task`` every week on the weekday ``on``, or on each of several, at the time ``at``."""
        return self._add_cron("weekly", task, options, lambda: weekly_on(on, at))

    def monthly(
        self,
        task: Task[..., Any] = LATER,
        *,
        day: int | str = 1,
        at: str | time = "00:00",
        **options: Unpack[ZonedOptions],
    ) -> Decorator:
        """Run ``task`` every month on ``day`` at the time ``at``.

        ``day`` is a number, and a month without such a day is left out; or ``"last"``, the last day of each month.
        """
        return self._add_cron("monthly", task, options, lambda: monthly_on(day, at))

    def cron(self, expression: str, task: Task[..., Any] = LATER, **options: Unpack[ZonedOptions]) -> Decorator:
        """Run ``task`` by a cron expression: minute, hour, day of the month, month, day of the week.

        With six fields the first is the second, with seven the last is the year.
        """
        return self._add_cron("cron", task, options, lambda: expression)

    def when(self, text: str, task: Task[..., Any] = LATER, **options: Unpack[ZonedOptions]) -> Decorator:
        """Run ``task`` as ``text`` says in English, ``"7pm every Thursday"``, or as a cron expression."""

        def trigger() -> Trigger:
            return parse_schedule(text, zone_of(options.get("timezone")))

        return self._add("when", task, options, trigger, ZonedOptions.__optional_keys__)

    def once(self, task: Task[..., Any] = LATER, *, at: datetime | str, **options: Unpack[ZonedOptions]) -> Decorator:
        """Run ``task`` one time, at the moment ``at``: a ``datetime``, or ``"2026-12-24 18:00"``."""

        def trigger() -> Once:
            zone = zone_of(options.get("timezone"))
            return Once(moment_of("at", at, zone), zone)

        return self._add("once", task, options, trigger, ZonedOptions.__optional_keys__)

    def after(self, other: str, task: Task[..., Any] = LATER, **options: Unpack[AfterOptions]) -> Decorator:
        """Run ``task`` whenever a run of the schedule ``other`` has succeeded, be it one by hand: once after each."""
        return self._add("after", task, options, lambda: after_of(other), AfterOptions.__optional_keys__)

    def _add_cron(self, call: str, task: object, options: ZonedOptions, expression: Callable[[], str]) -> Decorator:
        def trigger() -> Cron:
            return Cron(expression(), zone_of(options.get("timezone")))

        return self._add(call, task, options, trigger, ZonedOptions.__optional_keys__)

    @abstractmethod
    def _add(
        self,
        call: str,
        task: object,
        options: Mapping[str, Any],
        trigger: Callable[[], Trigger],
        allowed: frozenset[str],
    ) -> Decorator:
        """Declare a schedule of ``task``; if it is ``LATER``, return a decorator that does so."""
