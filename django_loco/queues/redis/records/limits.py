"""The limits of a Redis queue, see ``lua/limited.lua``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace

from ....core.job.limits import KeyTimes, Limit, Limits, limits_of
from ...claim import Claim
from ...records.limits import Limiting, LimitUse
from ..codec import LIMITED, choice_payload, decoded, kinds_of, limits_payload, lines, numbers_of
from ..job_lists import moment_of
from ..server import RedisServer
from .pauses import RedisPauses


class RedisLimits(RedisPauses, Limiting):
    """The limits and pauses that hold jobs of ``RedisQueue`` back."""

    server: RedisServer

    def set_limit(self, name: str, limit: Limit | None) -> None:
        """Change a limit, or let it be as declared."""
        text = "" if limit is None else "\t".join(map(str, (*numbers_of(limit), json.dumps(asdict(limit)))))
        self.server.run("set_limit", (name, text))

    def changed_limits(self) -> Limits:
        """Return the limits that people have changed."""
        answer = self.server.ask("HGETALL", self.server.key("changed_limits"))
        pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
        return limits_of({decoded(name): json.loads(decoded(text).rpartition("\t")[2]) for name, text in pairs})

    def limit_use(self, keys: Collection[str] | None = None) -> LimitUse:
        """Return how limits are used."""
        now, running, waiting, times = self.server.run("limit_use", ("*" if keys is None else lines(keys),))
        numbers = [part for place in range(0, len(waiting), 3) for part in waiting[place : place + 2]]
        oldest: dict[str, int] = {}
        for limit_key, due in zip(map(decoded, waiting[::3]), map(int, waiting[2::3]), strict=True):
            oldest[limit_key] = min(due, oldest.get(limit_key, due))
        rows = zip(times[::3], times[1::3], times[2::3], strict=True)
        return LimitUse(
            int(now),
            Counter(map(decoded, running)),
            _summed(numbers),
            {decoded(key): KeyTimes(int(tat), int(closing)) for key, tat, closing in rows},
            {key: moment_of(micros) for key, micros in oldest.items()},
        )

    def limited_waiting(self, claim: Claim) -> Mapping[str, int]:
        """Return how many limited jobs are due."""
        queues, tags, *_ = choice_payload(claim)
        return _summed(self.server.run("limited_waiting", (queues, tags, _limited_kinds(claim))))

    def suspects(self, claim: Claim) -> int:
        """Return how many suspects are due, without limited ones that may not begin now."""
        queues, tags, kinds, _ = choice_payload(replace(claim, suspects=True))
        return int(self.server.run("suspects", (queues, tags, kinds, limits_payload(claim))))


def _limited_kinds(claim: Claim) -> str:
    """Return the kinds of limited jobs for which ``claim`` has room."""
    rooms = zip(kinds_of(claim), (claim.threads, claim.coroutines), strict=True)
    return "".join(str(int(kind) + LIMITED) for kinds, room in rooms if room > 0 for kind in kinds)


def _summed(pairs: Sequence[bytes]) -> Mapping[str, int]:
    """Return the sums of the numbers that follow limit keys."""
    counts: Counter[str] = Counter()
    for limit_key, number in zip(pairs[::2], pairs[1::2], strict=True):
        counts[decoded(limit_key)] += int(number)
    return +counts
