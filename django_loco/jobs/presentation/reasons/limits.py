"""Which limits hold back a job."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from ....core.job import Job
from ....core.job.limits import KeyTimes, Limit, keys_of, name_of
from ....queues import Queue
from ...control.limits import limiter_of, limits_in
from ..numbers import number_text
from .reason import Reason


def limits_in_the_way(job: Job, queue: Queue) -> Iterator[Reason]:
    """Yield the limits for which a job waits now, each with the command that opens it if a job has closed it."""
    if not job.limit_key:
        return
    keys = keys_of(job.limit_key)
    use, known = queue.limit_use(keys), limits_in(queue)
    limiter = limiter_of(known, use)
    for key in keys:
        if limiter.room(key) <= 0:
            times, limit = limiter.times_of(key), known.get(name_of(key), Limit())
            waits = _("It waits for the limit %(key)s.") % {"key": repr(key)}
            opens_at = limiter.opens_at(key)
            is_closed = opens_at is not None and times.closed_until >= opens_at
            command = f"loco_jobs set-limit {name_of(key)} --reset --backend {queue.alias}" if is_closed else ""
            remedy = _("To open it now, as LOCO['LIMITS'] declares it: %(command)s") % {"command": command}
            text = f"{waits} {_until_when(limit, times, opens_at, use.now)}"
            yield Reason("limited", text, remedy if command else "", command)


def _until_when(limit: Limit, times: KeyTimes, opens_at: int | None, now: int) -> str:
    if opens_at is None:
        text = _("As many of its jobs run as may at once: %(number)s.")
        return text % {"number": number_text(limit.concurrency or 0)}
    seconds = number_text(max(1, round((opens_at - now) / 1e6)))
    if times.closed_until >= opens_at:
        return _("A job has closed it for %(seconds)s s more.") % {"seconds": seconds}
    text = _("Its rate is %(rate)s, and the next job may begin in %(seconds)s s.")
    return text % {"rate": limit.rate, "seconds": seconds}
