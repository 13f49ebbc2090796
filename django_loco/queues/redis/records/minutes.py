"""The statistics in Redis: a hash for each minute and each hour, which expire by themselves.

A field of such a hash is a queue, a task and an outcome, its value the numbers of ``queues.records.minutes``, with
spaces between. ``minutes`` is a sorted set of the stored minutes. ``totals`` is such a hash for all minutes together,
and ``totaled`` a sorted set of its fields by the last minute that they contain.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence

from ...records.minutes import HOUR, KEPT_MINUTES, TOTAL, Labels, Minute, Statistics, hours_of
from ..codec.answers import decoded
from ..codec.payloads import lines
from ..connections.server import RedisServer

#: The number of rows that one script adds, and of minutes that one script reads.
BATCH = 500
#: How long Redis remembers that it has added a batch, so that a batch sent again counts once.
REMEMBERED_MS = 60_000


def add_minutes(server: RedisServer, minutes: Sequence[Minute]) -> None:
    """Add ``minutes`` to the stored statistics."""
    ordered = sorted(minutes)
    for first in range(0, len(ordered), BATCH):
        _add(server, ordered[first : first + BATCH])


def minutes_since(server: RedisServer, minute: int) -> list[Minute]:
    """Return the minutes from ``minute`` on."""
    known = [int(each) for each in server.ask("ZRANGEBYSCORE", server.key("minutes"), minute, "+inf")]
    return _read(server, [(number, _key(number)) for number in known])


def hours_since(server: RedisServer, minute: int) -> list[Minute]:
    """Return the sums of the hours from the hour of ``minute`` on."""
    known = [int(each) for each in server.ask("ZRANGEBYSCORE", server.key("minutes"), minute // HOUR * HOUR, "+inf")]
    hours = sorted({number // HOUR for number in known})
    return _read(server, [(hour * HOUR, _hour_key(hour)) for hour in hours])


def _read(server: RedisServer, wanted: Sequence[tuple[int, str]]) -> list[Minute]:
    """Return the statistics in hashes, each of which is given with its minute."""
    found: list[Minute] = []
    for first in range(0, len(wanted), BATCH):
        part = wanted[first : first + BATCH]
        for (number, _), fields in zip(part, server.run("minutes", (), [key for _, key in part]), strict=True):
            found += sorted(
                _minute(number, decoded(field), decoded(values))
                for field, values in zip(fields[::2], fields[1::2], strict=True)
            )
    return found


def totals(server: RedisServer) -> list[Minute]:
    """Return the totals."""
    found = server.ask("HGETALL", server.key("totals"))
    pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
    return [_minute(TOTAL, decoded(field), decoded(values)) for field, values in pairs]


def clear_minutes(server: RedisServer) -> None:
    """Delete everything."""
    known = [int(each) for each in server.ask("ZRANGE", server.key("minutes"), 0, -1)]
    keys = [*map(_key, known), *map(_hour_key, sorted({number // HOUR for number in known}))]
    for first in range(0, len(keys), BATCH):
        server.ask("UNLINK", *map(server.key, keys[first : first + BATCH]))
    server.ask("UNLINK", *map(server.key, ("minutes", "totals", "totaled")))


def _add(server: RedisServer, minutes: Sequence[Minute]) -> None:
    numbers = sorted({each.labels.minute for each in minutes})
    hours = sorted({number // HOUR for number in numbers})
    rows = ((_place(numbers, each), json.dumps(each.labels[1:]), " ".join(map(str, each.numbers))) for each in minutes)
    payload = lines(value for row in rows for value in row)
    more_keys = (f"answer:minutes:{secrets.token_hex(8)}", *map(_key, numbers), *map(_hour_key, hours))
    server.run("record", (REMEMBERED_MS, KEPT_MINUTES, lines(numbers), payload), more_keys)


def _place(numbers: Sequence[int], each: Minute) -> int:
    return numbers.index(each.labels.minute) + 1


def _minute(number: int, field: str, values: str) -> Minute:
    return Minute(Labels(number, *json.loads(field)), tuple(map(int, values.split())))


def _key(number: int) -> str:
    return f"minute:{number}"


def _hour_key(number: int) -> str:
    return f"hour:{number}"


class RedisStatistics(Statistics):
    """The statistics of ``RedisQueue``."""

    server: RedisServer

    def record(self, minutes: Sequence[Minute]) -> None:
        """Add to the statistics."""
        add_minutes(self.server, minutes)

    def minutes(self, since: int) -> Sequence[Minute]:
        """Return the statistics from the minute ``since`` on."""
        return minutes_since(self.server, since)

    def hours(self, since: int, every: int = 1) -> Sequence[Minute]:
        """Return the sums of ``every`` hours from the hour of the minute ``since`` on."""
        hours = hours_since(self.server, since)
        return hours if every == 1 else hours_of(hours, every)

    def totals(self) -> Sequence[Minute]:
        """Return the sums of the statistics."""
        return totals(self.server)
