"""The schedules of a project: what ``schedules.py`` of each app declares.

A call that is wrong does not raise, for that would take the app's other schedules down with it. It is noted with
the line it stands on, logged, reported by ``manage.py check``, and only that schedule is off.
"""

from __future__ import annotations

import inspect
import logging
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time, timedelta, tzinfo
from importlib import import_module
from typing import Any, NamedTuple, TypedDict, Unpack

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import module_has_submodule

from ..compat import Task
from ..conf import did_you_mean
from ..exceptions import LocoConfigurationError
from ..job import utcnow
from .cron import Cron
from .entries import Entry, Place, Upcoming, entry_of, name_of, upcoming_of
from .shorthand import daily_at, hourly_at, interval_of, monthly_on, weekly_on, zone_of
from .triggers import Interval, Trigger

logger = logging.getLogger("django_loco.scheduler")


class Options(TypedDict, total=False):
    """What every kind of schedule takes."""

    name: str
    """By default the path of the task. Two schedules of one task need names."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    tags: Sequence[str]


class ZonedOptions(Options, total=False):
    """What a schedule on a wall clock takes."""

    timezone: str | tzinfo
    """Whose wall clock: ``"Europe/Berlin"``. By default ``TIME_ZONE``."""


class Problem(NamedTuple):
    """A schedule that is off because it is wrong, or a module of schedules that cannot be imported."""

    message: str
    hint: str
    schedule: str
    """The name of the schedule, or of the module."""


class Registry:
    """Schedules by name, in the order in which they were declared.

    With ``strict`` a wrong call raises ``LocoConfigurationError``. With ``autodiscover`` the ``schedules`` modules
    of the installed apps are imported when the schedules are first asked for.
    """

    def __init__(self, *, strict: bool = False, autodiscover: bool = False) -> None:
        self._strict = strict
        self._undiscovered = autodiscover
        self._discovering = threading.RLock()
        self._entries: dict[str, Entry] = {}
        self._problems: list[Problem] = []

    def every(
        self,
        task: Task[..., Any],
        interval: timedelta = timedelta(0),
        *,
        weeks: float = 0,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        phase: float | timedelta = 0,
        **options: Unpack[Options],
    ) -> None:
        """Run ``task`` at a fixed interval, the sum of what is given: ``every(tick, minutes=1, seconds=30)``.

        Intervals are counted from the start of 1970 in UTC, whenever the scheduler was started, so that ``hours=1``
        is on the hour; ``phase`` (seconds, or a ``timedelta``) shifts that. An interval knows no wall clock: for a
        time of the day use ``daily``.
        """
        units = {"weeks": weeks, "days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
        self._add("every", task, options, lambda: interval_of(interval, units, phase))

    def every_minute(self, task: Task[..., Any], **options: Unpack[Options]) -> None:
        """Run ``task`` at the start of every minute."""
        self._add("every_minute", task, options, lambda: Interval(timedelta(minutes=1)))

    def hourly(self, task: Task[..., Any], *, at: int = 0, **options: Unpack[ZonedOptions]) -> None:
        """Run ``task`` every hour, at minute ``at`` (0 to 59)."""
        self._add_cron("hourly", task, options, lambda: hourly_at(at))

    def daily(self, task: Task[..., Any], *, at: str | time = "00:00", **options: Unpack[ZonedOptions]) -> None:
        """Run ``task`` every day at the time ``at``: ``"04:00"``, or a ``datetime.time``."""
        self._add_cron("daily", task, options, lambda: daily_at(at))

    def weekly(
        self,
        task: Task[..., Any],
        *,
        on: str | Sequence[str] = "monday",
        at: str | time = "00:00",
        **options: Unpack[ZonedOptions],
    ) -> None:
        """Run ``task`` every week on the weekday ``on``, or on each of several, at the time ``at``."""
        self._add_cron("weekly", task, options, lambda: weekly_on(on, at))

    def monthly(
        self,
        task: Task[..., Any],
        *,
        day: int | str = 1,
        at: str | time = "00:00",
        **options: Unpack[ZonedOptions],
    ) -> None:
        """Run ``task`` every month on ``day`` at the time ``at``.

        ``day`` is a number, and a month without such a day is left out; or ``"last"``, the last day of each month.
        """
        self._add_cron("monthly", task, options, lambda: monthly_on(day, at))

    def cron(self, expression: str, task: Task[..., Any], **options: Unpack[ZonedOptions]) -> None:
        """Run ``task`` by a cron expression: minute, hour, day of the month, month, day of the week."""
        self._add_cron("cron", task, options, lambda: expression)

    def entries(self) -> list[Entry]:
        """Return the schedules that can run."""
        self._discover()
        return list(self._entries.values())

    def problems(self) -> list[Problem]:
        """Return what is wrong with those that cannot."""
        self._discover()
        return list(self._problems)

    def upcoming(self, runs: int = 1, *, after: datetime | None = None) -> list[Upcoming]:
        """Return the schedules sorted by name, each with its first ``runs`` ticks after ``after``, by default now."""
        start = after or utcnow()
        return [upcoming_of(entry, runs, start) for entry in sorted(self.entries(), key=lambda entry: entry.name)]

    def _add_cron(self, call: str, task: object, options: ZonedOptions, expression: Callable[[], str]) -> None:
        def trigger() -> Cron:
            return Cron(expression(), zone_of(options.get("timezone")))

        self._add(call, task, options, trigger, known=ZonedOptions.__optional_keys__)

    def _add(
        self,
        call: str,
        task: object,
        options: Mapping[str, Any],
        trigger: Callable[[], Trigger],
        known: frozenset[str] = Options.__optional_keys__,
    ) -> None:
        place = Place.of_caller()
        name = options.get("name", name_of(task))
        try:
            self._refuse_unknown(call, options, known)
            common = {option: value for option, value in options.items() if option != "timezone"}
            self._claim(entry_of(task, trigger, place, **common))
        except ImproperlyConfigured as error:
            hint = f"Correct scheduler.{call}() at {place}. Until then this schedule is off; the others run."
            self._note(Problem(f"Schedule {name!r}: {error}", hint, str(name)), error)

    def _refuse_unknown(self, call: str, options: Mapping[str, Any], known: frozenset[str]) -> None:
        for option in options:
            if option not in known:
                parameters = set(inspect.signature(getattr(self, call)).parameters) - {"task", "options"}
                raise LocoConfigurationError(
                    f"{call}() has no option {option!r}.{did_you_mean(option, sorted(known | parameters))}"
                )

    def _claim(self, entry: Entry) -> None:
        holder = self._entries.setdefault(entry.name, entry)
        if holder is not entry:
            raise LocoConfigurationError(
                f"there are two of this name, at {holder.place} and at {entry.place}; "
                "the second is off until it is given another with name=."
            )

    def _note(self, problem: Problem, error: Exception) -> None:
        if self._strict:
            raise LocoConfigurationError(problem.message) from error
        self._problems.append(problem)
        logger.error("%s %s", problem.message, problem.hint)

    def _discover(self) -> None:
        """Import the ``schedules`` modules, once. A module that declares meanwhile does not wait for the lock."""
        with self._discovering:
            if self._undiscovered:
                found = modules_named("schedules")
                self._undiscovered = False
                for module in found:
                    self._import(module)

    def _import(self, module: str) -> None:
        try:
            import_module(module)
        except Exception as error:
            logger.exception("%s cannot be imported, so its schedules are off", module)
            for name in [entry.name for entry in self._entries.values() if entry.place.module == module]:
                del self._entries[name]
            hint = f"Correct {module}. Until then its schedules are off; those of the other apps run."
            self._problems.append(Problem(f"{module} cannot be imported: {_told(error)}", hint, module))


def modules_named(name: str) -> list[str]:
    """Return the dotted paths of the modules ``name`` in the installed apps, in their order."""
    return [f"{app.name}.{name}" for app in apps.get_app_configs() if module_has_submodule(app.module, name)]


def _told(error: Exception) -> str:
    """``error`` and the last line of code that it passed through."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"


#: The schedules of this project.
default = Registry(autodiscover=True)
problems = default.problems
