"""What limits are in the way of a job."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from django.utils.translation import gettext as _

from ...core.job.limits import KeyTimes, Ledger, Limit, keys_of, name_of
from ...queues import Queue
from ...queues.claim import declared_limits
from ...queues.records.limits import time_of_micros
from .numbers import number_text


class ClosedKey(NamedTuple):
    """A key of a limit for which no job may begin now."""

    key: str
    text: str
    """A sentence that names it."""

    reason: str
    """A sentence that says why."""

    opens_at: datetime | None
    """When one may; ``None``: when another job of the key has ended."""


def keys_in_the_way(limit_key: str, queue: Queue) -> Iterator[ClosedKey]:
    """Yield the keys of a job for which it has to wait now."""
    keys = keys_of(limit_key)
    use, limits = queue.limit_use(keys), declared_limits()
    ledger = Ledger(limits, use.now, running=use.running.items, times=use.times)
    for key in keys:
        if ledger.room(key) <= 0:
            opens_at = ledger.opens_at(key)
            times, limit = use.times.get(key, KeyTimes()), limits.get(name_of(key), Limit())
            yield ClosedKey(
                key,
                _("It waits for the limit %(key)s.") % {"key": repr(key)},
                _reason(limit, times, opens_at, use.now),
                None if opens_at is None else time_of_micros(opens_at),
            )


def _reason(limit: Limit, times: KeyTimes, opens_at: int | None, now: int) -> str:
    if opens_at is None:
        text = _("As many of its jobs run as may at once: %(number)s.")
        return text % {"number": number_text(limit.concurrency or 0)}
    seconds = number_text(max(1, round((opens_at - now) / 1e6)))
    if times.closed_until >= opens_at:
        return _("A job has closed it for %(seconds)s s more.") % {"seconds": seconds}
    text = _("Its rate is %(rate)s, and the next job may begin in %(seconds)s s.")
    return text % {"rate": limit.rate, "seconds": seconds}
