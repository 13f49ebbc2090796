"""The calls that declare schedules in Python, also as decorators of a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any, Protocol, TypeVar, Unpack

from ...core.compat import Task
from ..entry import MakeTrigger
from ..options import AfterOptions, TickOptions, ZonedOptions
from ..triggers import parsing
from ..triggers.cron import Cron
from ..triggers.trigger import Interval, Once

T = TypeVar("T")

#: The default of ``task``, if the call is a decorator.
NO_TASK: Any = object()


class Decorator(Protocol):
    """Declares a schedule of the task that it decorates."""

    def __call__(self, task: T, /) -> T:
        """Declare it and return ``task``."""


class PythonApi(ABC):
    """The calls. Each takes the task to run; without a task it returns a decorator.

    For ``options`` see ``scheduler.options``. ``jitter``, ``grace`` and ``expires`` are in seconds or a ``timedelta``;
    ``timeout`` is in seconds. A wrong call does not raise: it is logged, ``manage.py check`` reports it, and only that
    schedule is off. A call by a request, a job or a shell raises ``LocoConfigurationError``, because no scheduler would
    see it.

    A subclass implements ``_add``. (It returns the given task; the types describe the call as a decorator.)
    """

    def every(
        self,
        task: Task[..., Any] = NO_TASK,
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
        """Run ``task`` at a fixed interval, the sum of the arguments: ``every(tick, minutes=1, seconds=30)``.

        Intervals are counted from the start of 1970 in UTC, regardless of when the scheduler was started, so that
        ``hours=1`` is on the hour; ``phase`` (seconds, or a ``timedelta``) shifts that. An interval does not follow the
        wall clock; for a time of day use ``daily``.
        """
        units = {"weeks": weeks, "days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
        return self._add("every", task, options, lambda _zone: parsing.interval_of(interval, units, phase))

    def every_minute(self, task: Task[..., Any] = NO_TASK, **options: Unpack[TickOptions]) -> Decorator:
        """Run ``task`` at the start of every minute."""
        return self._add("every_minute", task, options, lambda _zone: Interval(timedelta(minutes=1)))

    def hourly(self, task: Task[..., Any] = NO_TASK, *, at: int = 0, **options: Unpack[ZonedOptions]) -> Decorator:
        """Run ``task`` every hour, at minute ``at`` (0 to 59)."""
        return self._add("hourly", task, options, lambda zone: Cron(parsing.hourly_at(at), zone))

    def daily(
        self, task: Task[..., Any] = NO_TASK, *, at: str | time = "00:00", **options: Unpack[ZonedOptions]
    ) -> Decorator:
        """Run ``task`` every day at the time ``at``: ``"04:00"``, or a ``datetime.time``."""
        return self._add("daily", task, options, lambda zone: Cron(parsing.daily_at(at), zone))

    def weekly(
        self,
        task: Task[..., Any] = NO_TASK,
        *,
        on: str | Sequence[str] = "monday",
        at: str | time = "00:00",
        **options: Unpack[ZonedOptions],
    ) -> Decorator:
        """Run ``task`` every week on the weekday ``on``, or on each of several, at the time ``at``."""
        return self._add("weekly", task, options, lambda zone: Cron(parsing.weekly_on(on, at), zone))

    def monthly(
        self,
        task: Task[..., Any] = NO_TASK,
        *,
        day: int | str = 1,
        at: str | time = "00:00",
        **options: Unpack[ZonedOptions],
    ) -> Decorator:
        """Run ``task`` every month on ``day`` at the time ``at``.

        ``day`` is a number, and months without that day are skipped; or ``"last"``, the last day of each month.
        """
        return self._add("monthly", task, options, lambda zone: Cron(parsing.monthly_on(day, at), zone))

    def cron(self, expression: str, task: Task[..., Any] = NO_TASK, **options: Unpack[ZonedOptions]) -> Decorator:
        """Run ``task`` by a cron expression: minute, hour, day of the month, month, day of the week.

        With six fields the first is the second, with seven the last is the year.
        """
        return self._add("cron", task, options, lambda zone: Cron(expression, zone))

    def when(self, text: str, task: Task[..., Any] = NO_TASK, **options: Unpack[ZonedOptions]) -> Decorator:
        """Run ``task`` as ``text`` says in English, ``"7pm every Thursday"``, or as a cron expression."""
        return self._add("when", task, options, lambda zone: parsing.parse_schedule(text, zone))

    def once(self, task: Task[..., Any] = NO_TASK, *, at: datetime | str, **options: Unpack[ZonedOptions]) -> Decorator:
        """Run ``task`` once, at the moment ``at``: a ``datetime``, or ``"2026-12-24 18:00"``."""
        return self._add("once", task, options, lambda zone: Once(parsing.moment_of("at", at, zone), zone))

    def after(self, other: str, task: Task[..., Any] = NO_TASK, **options: Unpack[AfterOptions]) -> Decorator:
        """Run ``task`` once after each successful run of the schedule ``other``, including manual runs."""
        return self._add("after", task, options, lambda _zone: parsing.after_of(other))

    @abstractmethod
    def _add(self, call: str, task: object, options: Mapping[str, Any], trigger: MakeTrigger) -> Decorator:
        """Declare a schedule of ``task``; if it is ``NO_TASK``, return a decorator that does so."""
