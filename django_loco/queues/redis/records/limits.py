"""The limits of a Redis queue, see ``lua/limited.lua``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from ....core.job.limits import KeyTimes
from ...records.limits import Limiting, LimitUse
from ..codec import decoded, lines
from ..server import RedisServer
from .pauses import RedisPauses


class RedisLimits(RedisPauses, Limiting):
    """What holds jobs of ``RedisQueue`` back: limits and pauses."""

    server: RedisServer

    def limit_use(self, keys: Collection[str] | None = None) -> LimitUse:
        """Return how limits are used."""
        now, running, waiting, times = self.server.run("limit_use", ("*" if keys is None else lines(keys),))
        counts: Counter[str] = Counter()
        for limit_key, number in zip(waiting[::2], waiting[1::2], strict=True):
            counts[decoded(limit_key)] += int(number)
        rows = zip(times[::3], times[1::3], times[2::3], strict=True)
        return LimitUse(
            int(now),
            Counter(map(decoded, running)),
            +counts,
            {decoded(key): KeyTimes(int(tat), int(closing)) for key, tat, closing in rows},
        )
