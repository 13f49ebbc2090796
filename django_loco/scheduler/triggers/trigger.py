"""Triggers, which compute when a schedule is due: functions of a moment, without a clock and without I/O.

A tick depends only on the schedule, not on when a scheduler was started or which ticks it has seen. So all schedulers
on all machines compute the same ticks. The key of a tick relies on that.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import ClassVar, Protocol

from ...exceptions import LocoConfigurationError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
#: The shortest interval; two ticks of a schedule are never closer.
MIN_INTERVAL = SECOND
#: The longest interval; the calendar ends beyond it.
MAX_INTERVAL = timedelta(days=36_525)

#: The units of an interval, the longest first.
UNITS = {unit: timedelta(**{unit: 1}) for unit in ("weeks", "days", "hours", "minutes", "seconds")}


class Trigger(Protocol):
    """Computes when a schedule is due. ``str()`` returns a cron expression if there is one, else ``words``."""

    @property
    def zone(self) -> tzinfo | None:
        """The time zone whose wall clock it follows; ``None`` if it follows none."""

    @property
    def words(self) -> str:
        """The trigger in English."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first tick after ``moment`` (aware), in UTC; ``None`` if there is no later one."""


def last_tick(trigger: Trigger, after: datetime, until: datetime) -> datetime | None:
    """Return the last tick after ``after`` and not after ``until``; ``None`` if there is none.

    It bisects the time, so it takes only a few dozen steps for any number of ticks.
    """
    last = trigger.next_after(after)
    if last is None or last > until:
        return None
    end = until
    while end - last >= MIN_INTERVAL:
        middle = last + (end - last) / 2
        tick = trigger.next_after(middle)
        if tick is None or tick > until:
            end = middle
        else:
            last = tick
    return last


def last_ticks(trigger: Trigger, after: datetime, until: datetime, count: int) -> list[datetime]:
    """Return the last ``count`` ticks after ``after`` and not after ``until``, in order."""
    found: list[datetime] = []
    while len(found) < count and (tick := last_tick(trigger, after, until)) is not None:
        found.append(tick)
        until = tick - timedelta.resolution
    return found[::-1]


def first_tick(trigger: Trigger, start: datetime, grace: timedelta) -> datetime | None:
    """Return the first tick of a scheduler that starts at ``start``.

    It is the next tick. But if the last tick is less than ``grace`` and no more than half a period ago, it is the last
    tick, so that a restart does not miss it.
    """
    tick = trigger.next_after(start - grace)
    if tick is None or tick > start:
        return tick
    missed = last_tick(trigger, start - grace, start) or tick
    following = trigger.next_after(start)
    return missed if following is None or start - missed <= (following - missed) / 2 else following


class _InWords:
    """A trigger that has no cron expression."""

    __slots__ = ()

    @property
    def words(self) -> str:
        """The trigger in English."""
        return str(self)


@dataclass(frozen=True, slots=True)
class Interval(_InWords):
    """Every ``period``, counted from the start of 1970 in UTC and shifted by ``phase``.

    Raises ``LocoConfigurationError`` for a period of less than a second or more than 100 years, or a phase outside the
    period.
    """

    period: timedelta
    phase: timedelta = timedelta(0)
    zone: ClassVar[None] = None

    def __post_init__(self) -> None:
        if self.period < MIN_INTERVAL:
            raise LocoConfigurationError(
                f"the interval is {_seconds(self.period)} s; it must be a second or more, such as seconds=15."
            )
        if self.period > MAX_INTERVAL:
            raise LocoConfigurationError(f"the interval is {self}; it must be at most {MAX_INTERVAL.days} days.")
        if not timedelta(0) <= self.phase < self.period:
            raise LocoConfigurationError(
                f"phase is {_seconds(self.phase)} s; it must be from 0 s to less than the interval, "
                f"{_seconds(self.period)} s."
            )

    def next_after(self, moment: datetime) -> datetime:
        """Return the first tick after ``moment``, in UTC."""
        start = EPOCH + self.phase
        return start + ((moment.astimezone(UTC) - start) // self.period + 1) * self.period

    def __str__(self) -> str:
        unit = next((unit for unit, size in UNITS.items() if not self.period % size), "seconds")
        count = _seconds(self.period / UNITS[unit].total_seconds())
        text = f"every {unit.removesuffix('s')}" if count == "1" else f"every {count} {unit}"
        return f"{text}, {_seconds(self.phase)} s later" if self.phase else text


@dataclass(frozen=True, slots=True)
class Once(_InWords):
    """One run, at the moment ``at``, which is shown on the wall clock of ``zone``."""

    at: datetime
    zone: tzinfo

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the moment, in UTC; ``None`` if it is past."""
        return self.at.astimezone(UTC) if self.at > moment else None

    def __str__(self) -> str:
        return f"once at {_format(self.at, self.zone)}"


@dataclass(frozen=True, slots=True)
class After:
    """No ticks of its own: a run whenever a job of the schedule ``other`` has succeeded."""

    other: str
    zone: ClassVar[None] = None

    @property
    def words(self) -> str:
        """The trigger in English."""
        return f"when a run of {self.other} has succeeded"

    def next_after(self, moment: datetime) -> None:  # noqa: ARG002 - there is no tick
        """Return ``None``: the time is not known in advance."""
        return

    def __str__(self) -> str:
        return f"after {self.other}"


@dataclass(frozen=True, slots=True)
class Within:
    """The ticks of ``trigger`` that are not before ``start`` and not after ``end`` (``None``: no limit).

    Raises ``LocoConfigurationError`` if there are no such ticks, for example if ``end`` is before ``start``.
    """

    trigger: Trigger
    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.next_after(self.start - SECOND) is None:
            raise LocoConfigurationError(
                f"{self.trigger} never fires from start, {self.start}, to end, {self.end}; "
                "end must be later than start, with a tick between them.",
                field="end",
            )
        if isinstance(self.trigger, Once) and self.next_after(self.trigger.at - SECOND) is None:
            limit, word = (self.end, "end") if self.start is None else (self.start, "start")
            raise LocoConfigurationError(f"it runs {self.trigger}, but {word} is {limit}: it never fires.", field=word)

    @property
    def zone(self) -> tzinfo | None:
        """The time zone of ``trigger``."""
        return self.trigger.zone

    @property
    def words(self) -> str:
        """The words of ``trigger``, and the limits."""
        limits = (("from", self.start), ("until", self.end))
        limited = [f"{word} {_format(moment, self.zone or UTC)}" for word, moment in limits if moment is not None]
        return ", ".join([self.trigger.words, *limited])

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first tick after ``moment`` within the limits, in UTC; ``None`` if there is no later one."""
        begin = moment if self.start is None else max(moment, self.start - timedelta.resolution)
        tick = self.trigger.next_after(begin)
        return None if tick is None or (self.end is not None and tick > self.end) else tick

    def __str__(self) -> str:
        return str(self.trigger)


def delay_of(key: str, jitter: timedelta) -> timedelta:
    """Return the delay of the tick with this ``key``: a random part of ``jitter``, the same in every scheduler."""
    chance = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=6).digest()) / 2**48
    return jitter * chance


def _format(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00")


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():.10g}"
