"""Times of the day on every second day, or in every third week: cron has no expression for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from .cron import Cron

#: The days of each unit.
DAYS = {"day": 1, "week": 7}
#: A Monday, from which days and weeks are counted, so that all schedulers find the same ones.
FIRST_DAY = date(1970, 1, 5)


@dataclass(frozen=True, slots=True)
class EveryNth:
    """The ticks of ``cron`` on every ``count``-th day or in every ``count``-th week (``unit``) of its wall clock.

    Days are counted from the first Monday of 1970, and weeks begin on Mondays. ``cron`` fires on all days, or on all
    days of the week that it names.
    """

    cron: Cron
    count: int
    unit: str

    @property
    def zone(self) -> tzinfo:
        """The time zone of ``cron``."""
        return self.cron.zone

    @property
    def words(self) -> str:
        """The trigger in English."""
        return f"every {self.count} {self.unit}s {self.cron.words.removeprefix('every day ')}"

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first tick after ``moment``, in UTC; ``None`` if there is none before the calendar ends."""
        tick = self.cron.next_after(moment)
        while tick is not None and (days := self._days_until(tick)):
            # Less than whole days, because a day has 23 hours when the clocks are put forward.
            tick = self.cron.next_after(tick + max(timedelta(days=days, hours=-36), timedelta(0)))
        return tick

    def __str__(self) -> str:
        return self.words

    def _days_until(self, tick: datetime) -> int:
        """Return the number of days from the day of ``tick`` to the next day on which it fires; 0 for the same day."""
        day = (tick.astimezone(self.zone).date() - FIRST_DAY).days
        length = DAYS[self.unit]
        periods = -(day // length) % self.count
        return periods * length - day % length if periods else 0
