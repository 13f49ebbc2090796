"""Limited suspects in a database: jobs that obey limits, and run alone because workers have died with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ....core.job.limits import Limiter, keys_of
from ...claim import Claim
from ...rows import Row
from ..sql import limits as sql
from .claims import LimitedClaims

#: A claim chooses a suspect that may begin among this number, the best ones. There are few suspects.
MOST = 1_000


class LimitedSuspects(LimitedClaims):
    """The suspects of ``DatabaseQueue``."""

    def suspects(self, claim: Claim) -> int:
        """Return how many suspects are due, without limited ones that may not begin now."""
        with self._reached():
            number, limited = self._dialect.suspects(claim), dict[str, int](self._suspects(sql.COUNT_SUSPECTS, claim))
            if limited:
                limiter = self._limiter_for(claim, limited.keys(), self._dialect.micros())
                number += sum(waiting for limit_key, waiting in limited.items() if limiter.room(limit_key) > 0)
        return number

    def take(self, claim: Claim) -> Iterator[list[Row]]:
        """Hand jobs to a worker; a limited suspect if no other one is due."""
        if claim.suspects:
            yield self._dialect.claim_suspect(claim) or self._take_limited_suspect(claim)
        else:
            yield from super().take(claim)

    def _take_limited_suspect(self, claim: Claim) -> list[Row]:
        rows: Mapping[Any, str] = dict(self._suspects(sql.FIND_SUSPECTS, claim, most=MOST))
        return self._decide(lambda: self._choose(claim, rows)) if rows else []

    def _choose(self, claim: Claim, rows: Mapping[Any, str]) -> list[Row]:
        limiter = self._limiter_for(claim, rows.values(), self._dialect.enter_limits())
        for row, limit_key in rows.items():
            if limiter.room(limit_key) > 0:
                taken = self._claim_chosen(claim, [row])
                limiter.start(limit_key, len(taken))
                self._store(limiter.changed)
                return taken
        return []

    def _suspects(self, statement: str, claim: Claim, **given: int) -> list[Any]:
        wanted, parameters = self._dialect.wanted_kinds(claim)
        by_index = self._dialect.by_index.replace("{index}", "django_loco_suspects")
        text = self._dialect.sql(statement, wanted=wanted, by_index=by_index, row=self._dialect.row)
        return self._dialect.execute(text, now=0.0, until=sql.SKEW_SECONDS, **given, **parameters)

    def _limiter_for(self, claim: Claim, limit_keys: Collection[str], now: int) -> Limiter:
        limits = self._with_changes(claim.limits)
        keys = {key for limit_key in limit_keys for key in keys_of(limit_key)}
        return Limiter(limits, now, running=self._counts(sql.RUNNING).items, times=self._times_of(keys))
