"""Decides which missed ticks are fired: after a time without a scheduler, a suspension, or an outage of the store.

A tick is missed if nothing could fire it for longer than ``MISSED_AFTER``. Before that it is only late, and is fired.

A scheduler that starts cannot know which ticks were missed. It treats all ticks within the grace time as missed. The
queue knows the key of each fired tick and refuses it. So the grace time cannot be longer than the time for which the
queue remembers keys. A row of the database says since when it has its ticks, and earlier ticks are not its own. When
code or settings got a schedule is not known, so the ticks of such a new schedule within its grace time count as missed,
too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from ..core.job.retention import keys_kept_seconds
from .triggers.trigger import Trigger, first_tick, last_ticks

MisfireMode = Literal["skip", "once", "all"]
T = TypeVar("T")

#: A tick that is later than this was missed.
MISSED_AFTER = timedelta(seconds=10)
#: The grace time of a scheduler that starts, if the schedule has none.
DEFAULT_GRACE = timedelta(seconds=60)
#: The number of missed ticks that are fired at most: the default, and its maximum.
DEFAULT_CAP, MAX_CAP = 100, 1000


@dataclass(frozen=True, slots=True)
class Misfire:
    """Which missed ticks are fired: none, the last one, or all; within ``grace``, and at most ``cap`` of them.

    Without ``grace``, a scheduler that starts looks back one minute. A scheduler that was held up looks back to the
    moment when that began.
    """

    mode: MisfireMode = "once"
    grace: timedelta | None = None
    cap: int = DEFAULT_CAP

    def first(self, trigger: Trigger, start: datetime, since: datetime | None = None) -> datetime | None:
        """Return the first tick to fire for a scheduler that starts at ``start``. It may be a missed tick.

        It is not before ``since``, the moment from which the schedule has had its ticks, if that is known.
        """
        start = start if since is None else max(start, since)
        if self.mode == "skip":
            return trigger.next_after(start)
        grace = DEFAULT_GRACE if self.grace is None else self.grace
        if since is not None:
            grace = min(grace, start - since + timedelta.resolution)
        if self.mode == "once" and self.grace is None:
            return first_tick(trigger, start, grace)
        return trigger.next_after(start - grace)

    def missed_ticks(self, trigger: Trigger, missed: datetime, now: datetime) -> list[datetime]:
        """Return which of the ticks from ``missed`` on to fire ``now``."""
        window = timedelta(0) if self.mode == "skip" else self.grace
        after = missed - timedelta.resolution
        if window is not None:
            after = max(after, now - max(window, MISSED_AFTER))
        return last_ticks(trigger, after, now, 1 if self.mode == "once" else self.cap)

    def missed_runs(self, ends: Sequence[T], when: Callable[[T], datetime], now: datetime, *, starts: bool) -> list[T]:
        """Return the items of ``ends`` to fire for ``now``. ``ends`` are the ends of upstream jobs, in order.

        ``when`` returns the time of an end. ``starts``: whether this is the scheduler's first poll.
        """
        if self.mode == "skip":
            return [] if starts else [end for end in ends if now - when(end) <= MISSED_AFTER]
        window = DEFAULT_GRACE if starts and self.grace is None else self.grace
        recent = [end for end in ends if window is None or now - when(end) <= max(window, MISSED_AFTER)]
        return recent[-1:] if self.mode == "once" else recent[-self.cap :]


def keys_kept() -> timedelta:
    """Return how long every queue remembers the keys of fired ticks."""
    return timedelta(seconds=keys_kept_seconds())
