"""The limits that a database queue stores: those that people have changed, and the times of keys."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from ....core.job.limits import KeyTimes, Limit, Limits, limits_of
from ...claim import Claim
from ...records.limits import Limiting, LimitUse
from ...rows import Row
from ..shown_rows import readable_time
from ..sql import limits as sql
from ..sql.index_ranges import condition_of
from .pauses import NOT_HELD_BACK
from .statement_runner import StatementRunner


class StoredLimits(StatementRunner, Limiting):
    """The limits of ``DatabaseQueue``."""

    _next_look_at_changes = 0.0
    """When this process looks again for limits that people have changed, by ``time.monotonic()``."""

    def limit_use(self, keys: Collection[str] | None = None) -> LimitUse:
        """Return how limits are used."""
        with self._reached():
            waiting = self._waiting() if keys is None else []
            times = self._times_of(keys) if keys is not None else self._times(sql.TIMES)
            numbers = {str(key): number for key, number, _ in waiting}
            oldest = {str(key): moment for key, _, stored in waiting if (moment := readable_time(stored))}
            return LimitUse(self._dialect.micros(), self._counts(sql.RUNNING), numbers, times, oldest)

    def limited_waiting(self, claim: Claim) -> Mapping[str, int]:
        """Return how many limited jobs are due."""
        with self._reached():
            wanted, parameters = self._dialect.wanted_kinds(claim)
            return {str(key): number for key, number, _ in self._waiting(wanted, **parameters)}

    def oldest_limited(self, queues: tuple[str, ...] | None = None) -> datetime | None:
        """Return the due time of the limited job that has been due for the longest time."""
        every = Claim(worker_id="", lease=0, threads=1, coroutines=1, queues=queues)
        wanted, parameters = condition_of(every, self._dialect.names, self._dialect.contains)
        with self._reached():  # jobs of a paused queue count as well
            [(oldest,)] = self._due(sql.OLDEST, wanted + NOT_HELD_BACK, **parameters)
        return readable_time(oldest)

    def set_limit(self, name: str, limit: Limit | None) -> None:
        """Change a limit, or reset it to its declaration."""
        with self._reached():
            if limit is None:
                self._dialect.write(self._dialect.sql(sql.CHANGE_BACK), is_durable=True, name=name)
            else:
                text = json.dumps(asdict(limit))
                self._dialect.execute(self._dialect.sql(sql.CHANGE), name=name, text=text)
        self._next_look_at_changes = 0.0

    def open_keys(self, name: str) -> int:
        """Open the keys of a limit that jobs have closed; return how many. No claim decides meanwhile."""
        with self._reached():
            number = self._dialect.together(lambda: self._open_alone(name))
        self._next_look_at_changes = 0.0
        return number

    def _open_alone(self, name: str) -> int:
        prefix, micros = f"{name}:", self._dialect.enter_limits()
        opened = self._dialect.execute(
            self._dialect.sql(sql.OPEN_KEYS), name=name, prefix=prefix, length=len(prefix), micros=micros
        )
        if opened:
            self._dialect.execute(self._dialect.sql(sql.NOTE_OPENED), name=name, micros=micros)
        return len(opened)

    def changed_limits(self) -> Limits:
        """Return the limits that people have changed."""
        return self._changes()[0]

    def _changes(self) -> tuple[Limits, Mapping[str, int]]:
        """Return the limits that people have changed, and when they have opened keys, by the names of limits."""
        with self._reached():
            rows = self._dialect.execute(self._dialect.sql(sql.CHANGES))
        changed = {str(name): json.loads(text) for kind, name, text, _ in rows if kind == "limit"}
        return limits_of(changed), {str(name): micros for kind, name, _, micros in rows if kind == "opened"}

    def prune_limits(self) -> None:
        """Delete the times of keys that have been idle for a second."""
        self._dialect.write(self._dialect.sql(sql.FORGET_TIMES), micros=self._dialect.micros() - 1_000_000)

    def _store(self, times: Mapping[str, KeyTimes]) -> None:
        if times:
            payload = json.dumps([{"name": key, **each._asdict()} for key, each in times.items()])
            text = self._dialect.sql(sql.STORE_TIMES, listed_times=self._dialect.listed_times)
            self._dialect.execute(text, payload=payload)

    def _counts(self, statement: str) -> dict[str, int]:
        return {str(key): number for key, number in self._dialect.execute(self._dialect.sql(statement))}

    def _waiting(self, wanted: str = "", **given: Any) -> list[Row]:
        """Return the limit keys of due jobs, the number of their jobs, and since when the first of them is due."""
        return self._due(sql.WAITING, wanted, **given)

    def _due(self, statement: str, wanted: str, **given: Any) -> list[Row]:
        oldest = self._dialect.read(self._dialect.text(f"min({sql.ORDER})"), "DateTimeField")
        text = self._dialect.sql(statement, oldest_read=oldest, wanted=wanted)
        return self._dialect.execute(text, now=0.0, until=sql.SKEW_SECONDS, **given)

    def _times_of(self, keys: Collection[str]) -> dict[str, KeyTimes]:
        if len(keys) == 1:
            return self._times(sql.TIMES_OF_ONE, name=next(iter(keys)))
        payload = json.dumps([{"limit_key": key} for key in keys])
        return self._times(sql.TIMES_OF, payload=payload) if keys else {}

    def _times(self, statement: str, **given: str) -> dict[str, KeyTimes]:
        in_listed = f"IN ({self._dialect.listed(['limit_key'])})"
        rows = self._dialect.execute(self._dialect.sql(statement, in_listed=in_listed), **given)
        return {name: KeyTimes(tat, closed_until, closed_at or 0) for name, tat, closed_until, closed_at in rows}
