"""What becomes of ticks that were missed: while no scheduler ran, while it was suspended, while its store was away.

A tick is missed when nothing could fire it for longer than ``MISSED_AFTER``; up to that it is late, and fired. What a
scheduler that starts has missed it cannot know. It takes the ticks of the grace time for missed, and the queue, which
knows each (schedule, tick) that was fired, refuses the others. So the grace time cannot be longer than the queue
remembers; and a schedule that is new, too, has missed what was due within its grace time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar, get_args

from ..conf import loco_settings
from ..exceptions import LocoConfigurationError
from .triggers.invalid import invalid
from .triggers.parsing import length_of
from .triggers.trigger import Trigger, first_tick, last_ticks

MisfireMode = Literal["skip", "once", "all"]
T = TypeVar("T")

#: A tick later than this was missed.
MISSED_AFTER = timedelta(seconds=10)
#: Where no grace time is given, a tick that was missed at the start by less is fired.
DEFAULT_GRACE = timedelta(seconds=60)
#: Seconds for which every queue remembers what was fired, however short ``RESULT_TTL`` is.
KEYS_KEPT_SECONDS = 3600.0
#: How many missed ticks are made up for, by default and at most.
DEFAULT_CAP, MAX_CAP = 100, 1000


@dataclass(frozen=True, slots=True)
class Misfire:
    """What is made up for: nothing, the last tick, or all; within ``grace``, and at most ``cap`` of them.

    Without ``grace`` a scheduler that starts looks back a minute, and one that was held up as long as that took.
    """

    mode: MisfireMode = "once"
    grace: timedelta | None = None
    cap: int = DEFAULT_CAP

    def first(self, trigger: Trigger, start: datetime) -> datetime | None:
        """Return the tick that a scheduler which starts at ``start`` begins with; it may be one to be made up for."""
        if self.mode == "skip":
            return trigger.next_after(start)
        if self.mode == "once" and self.grace is None:
            return first_tick(trigger, start, DEFAULT_GRACE)
        return trigger.next_after(start - (DEFAULT_GRACE if self.grace is None else self.grace))

    def missed_ticks(self, trigger: Trigger, missed: datetime, now: datetime) -> list[datetime]:
        """Return which ticks are fired ``now``, from the one that was ``missed`` on."""
        window = timedelta(0) if self.mode == "skip" else self.grace
        after = missed - timedelta.resolution
        if window is not None:
            after = max(after, now - max(window, MISSED_AFTER))
        return last_ticks(trigger, after, now, 1 if self.mode == "once" else self.cap)

    def missed_runs(self, ends: Sequence[T], when: Callable[[T], datetime], now: datetime, *, starts: bool) -> list[T]:
        """Return which of ``ends``, in their order, are made up for ``now``: what a schedule was to run after.

        ``when`` says when one came. ``starts``: nobody has looked before.
        """
        if self.mode == "skip":
            return [] if starts else [end for end in ends if now - when(end) <= MISSED_AFTER]
        window = DEFAULT_GRACE if starts and self.grace is None else self.grace
        recent = [end for end in ends if window is None or now - when(end) <= max(window, MISSED_AFTER)]
        return recent[-1:] if self.mode == "once" else recent[-self.cap :]


def misfire_mode_of(field: str, value: Any) -> MisfireMode:
    """Return ``value`` if it is a mode. Raises ``LocoConfigurationError``."""
    if value not in get_args(MisfireMode):
        raise invalid(field, value, '"skip", "once" or "all"')
    return value  # type: ignore[no-any-return]


def grace_of(field: str, value: Any) -> timedelta | None:
    """Return the grace time ``value``, seconds or a ``timedelta``. Raises ``LocoConfigurationError``."""
    if value is None:
        return None
    grace = length_of(field, value)
    longest = timedelta(seconds=max(loco_settings().RESULT_TTL, KEYS_KEPT_SECONDS))
    if grace > longest:
        raise LocoConfigurationError(
            f"{field} is {grace.total_seconds():g} s; it must be at most {longest.total_seconds():g} s, for which the "
            "queue remembers what was fired. LOCO['RESULT_TTL'] makes that longer.",
            field=field,
        )
    return grace


def cap_of(field: str, value: Any) -> int:
    """Return the cap ``value``. Raises ``LocoConfigurationError``."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_CAP:
        raise invalid(field, value, f"a whole number from 1 to {MAX_CAP}")
    return value
