"""How a database queue takes limited jobs.

Nothing is done for them when they are enqueued. Now and then a process *looks* for levels (``sql.limits``) with due
jobs that it may take. This costs some lookups in an index for each key. It spends at most a fiftieth of its time on
looks, so with few keys it looks at nearly every fetch. With very many keys it spends more, because it looks every two
seconds. The levels take turns in each process by itself.

Only one claim decides at a time: in PostgreSQL it locks a row, and in SQLite there is one writer at a time. It counts
the running jobs of each key, reads the times of the keys, chooses jobs, and stores all in one transaction. A key that
is closed until a time is left alone in this process until then.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

from django.db import OperationalError

from ....core import running_tests
from ....core.job import Outcome
from ....core.job.limits import NO_LIMITS, KeyTimes, Limiter, Limits, keys_of
from ...claim import Claim, declared_limits
from ...records.limits import note_ends
from ...rows import COLUMNS, Row
from ...rows.unreadable import EPOCH
from ..availability import is_conflict
from ..dialect import rest_of
from ..jobs.outcomes import finish
from ..records.limits import StoredLimits
from ..shown_rows import readable_time
from ..sql import limits as sql
from ..sql.index_ranges import MAX_RANGES
from .turns import NEVER, Choice, Head, Levels, LimitLevel, Place

#: The place of ``limit_key`` in a row.
LIMIT_KEY = COLUMNS.index("limit_key")

#: The time between two looks: ``LOOK_SHARE`` times the length of a look, within these limits.
LOOK_SHARE, SHORTEST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 50, 0.005, 2.0
#: A level is looked at after this time, even if it opens later: somebody may have changed its limits, or another worker
#: has given back a start.
LONGEST_CLOSING_SECONDS = 60.0
#: After a claim has met jobs that somebody else has locked, claims skip locked jobs for this time.
PASS_OVER_SECONDS = 5.0
#: The time between two looks for limits that people have changed, while limited jobs wait.
CHANGES_LOOK_SECONDS = 1.0


def _has_room(claim: Claim, level: LimitLevel) -> bool:
    return (claim.coroutines if level.is_async else claim.threads) > 0


class LimitedClaims(StoredLimits):
    """The claims of ``DatabaseQueue``."""

    _limited: dict[object, Levels]
    _changed_limits: Limits = NO_LIMITS
    _opened: Mapping[str, int] = MappingProxyType({})
    _has_limited_jobs: bool
    next_opening = NEVER
    """When a fetch may take more jobs than the last one, by ``time.monotonic()``."""

    def _with_changes(self, limits: Limits) -> Limits:
        """Return ``limits`` with the changes that people have made, as far as this process knows."""
        if time.monotonic() >= self._next_look_at_changes:
            changed, opened = self._changes()
            self._next_look_at_changes = time.monotonic() + CHANGES_LOOK_SECONDS
            if (changed, opened) != (self._changed_limits, self._opened):
                self._changed_limits, self._opened = changed, opened
                for levels in self._limited.values():
                    levels.open_all()
        return {**limits, **self._changed_limits} if self._changed_limits else limits

    def take(self, claim: Claim) -> Iterator[list[Row]]:
        """Hand jobs to a worker, limited ones and others. Yields the rows of each claim, as ``Dialect.take`` does."""
        limited, has_plain = self.take_limited(claim)
        yield limited
        rest = rest_of(claim, limited)
        if rest.threads > 0 or rest.coroutines > 0:
            yield from self._dialect.take(rest, has_jobs=has_plain)

    def take_limited(self, claim: Claim) -> tuple[list[Row], bool]:
        """Hand limited jobs to a worker: the ones that come before the plain jobs that there would be room for.

        Returns their rows, and whether plain jobs may be due as well.
        """
        levels = self._limited.setdefault((claim.worker_id, claim.queues, claim.tags), Levels())
        looked = self._look_now_and_then(claim, levels)
        if levels.closed_until:
            claim = replace(claim, limits=self._with_changes(claim.limits))
        rows, has_plain = list[Row](), True
        if any(_has_room(claim, level) for level in levels.open_ones()):
            with nullcontext() if levels.had_plain else self._dialect.preparing():
                plain = self._plain_places(claim)
            has_plain = levels.had_plain = any(plain.values())
            rows = self._decide(lambda: self._claim_alone(claim, levels, plain))
        next_look = NEVER if looked or not (claim.limits or levels.closed_until) else levels.next_look
        levels.opening = min(levels.next_opening, next_look)
        now = time.monotonic()
        self.next_opening = min((each.opening for each in self._limited.values() if each.opening > now), default=NEVER)
        return rows, has_plain

    def finish_limited(self, outcomes: Sequence[Outcome]) -> set[str]:
        """Store how jobs ended, which keys they close and which starts they give back; return the ids of held jobs.

        All in one transaction, in which no claim decides.
        """
        limits = self._with_changes(declared_limits())
        stored = self._dialect.together(lambda: self._finish_alone(outcomes, limits))
        given_back = {key for outcome in outcomes if outcome.job.id in stored for key in outcome.gives_back}
        if given_back:
            for levels in tuple(self._limited.values()):
                levels.open(given_back)
        return stored

    def _finish_alone(self, outcomes: Sequence[Outcome], limits: Limits) -> set[str]:
        now = self._dialect.enter_limits()
        stored = finish(self._dialect, outcomes)
        ended = [outcome for outcome in outcomes if outcome.job.id in stored]
        keys = {key for outcome in ended for key in (*outcome.closes, *outcome.gives_back)}
        limiter = Limiter(limits, now, running=tuple, times=self._times_of(keys))
        note_ends(limiter, ended)
        self._store(limiter.changed)
        return stored

    def _look_now_and_then(self, claim: Claim, levels: Levels) -> bool:
        began = time.monotonic()
        if running_tests.is_on():  # a test moves the clock of keys, but not the clock by which levels are left alone
            levels.open_all()
        elif began < levels.next_look:
            return False
        if not (claim.limits or self._has_limited_jobs or running_tests.is_on()):
            levels.found({})
            return False
        wanted, parameters = self._dialect.wanted(claim)
        rows = self._dialect.execute(
            self._dialect.sql(sql.DUE_LEVELS, wanted=wanted, **self._fragments),
            now=claim.ahead,
            until=claim.ahead + sql.SKEW_SECONDS,
            **parameters,
        )
        levels.found(
            {
                LimitLevel(bool(is_async), str(key), priority): readable_time(head) or EPOCH
                for is_async, key, priority, head in rows
            }
        )
        ended = time.monotonic()
        pause = min(max(LOOK_SHARE * (ended - began), SHORTEST_LOOK_SECONDS), LONGEST_LOOK_SECONDS)
        levels.next_look = ended + pause
        return True

    def _decide(self, decide: Callable[[], list[Row]]) -> list[Row]:
        """Call ``decide``, which takes jobs while no other claim decides; return its rows, or none if another does."""
        try:
            return self._dialect.decide(decide)
        except OperationalError as error:
            if is_conflict(error):
                return []  # another process takes them
            raise

    def _claim_alone(self, claim: Claim, levels: Levels, plain: Mapping[bool, deque[Place]]) -> list[Row]:
        now, times = self._dialect.enter_limits(), dict[str, KeyTimes]()
        running = self._counts(sql.RUNNING)
        limiter = Limiter(claim.limits, now, running=running.items, times=times)

        def prepare(some: Sequence[LimitLevel]) -> None:
            keys = {key for level in some for key in keys_of(level.limit_key)}
            times.update(self._times_of(keys - times.keys()))

        lock_heads = self._dialect.skip_locked if time.monotonic() < levels.passes_over_until else ""
        choice = Choice(
            levels, limiter, prepare, partial(self._heads, claim, any(plain.values()), lock_heads), claim.rank
        )
        chosen = choice.best(False, claim.threads, plain[False])
        chosen |= choice.best(True, claim.coroutines, plain[True])
        rows = self._claim_chosen(claim, chosen)
        if len(rows) < len(chosen):  # somebody has just changed some of these jobs, or has locked them
            levels.passes_over_until = time.monotonic() + PASS_OVER_SECONDS
            limiter = Limiter(claim.limits, now, running=running.items, times=times)
            for row in rows:
                limiter.start(str(row[LIMIT_KEY]))
        self._store(limiter.changed)
        monotonic = time.monotonic()
        for level in choice.closed.keys() & levels.closed_until.keys():
            seconds = (choice.closed[level] - now) / 1e6
            levels.closed_until[level] = monotonic + min(seconds, LONGEST_CLOSING_SECONDS)
        return rows

    def _claim_chosen(self, claim: Claim, chosen: Collection[Any]) -> list[Row]:
        if not chosen:
            return []
        payload = json.dumps([{"id": row} for row in chosen], default=str)
        in_listed = self._dialect.is_in.format(self._dialect.listed(["id"]))
        in_free = self._dialect.is_in.format(sql.FREE) if self._dialect.skip_locked else in_listed
        text = self._dialect.sql(sql.CLAIM, row=self._dialect.row, in_free=in_free, in_listed=in_listed)
        return self._dialect.execute(text, payload=payload, **self._dialect.claim_parameters(claim))

    def _plain_places(self, claim: Claim) -> dict[bool, deque[Place]]:
        """Return the places of the plain jobs that a fetch would take, best first, sync and async."""
        dialect, most = self._dialect, max(claim.threads, claim.coroutines)
        ranges = len(claim.queues or ("any",)) * len(claim.tags or ("any",))
        is_any = claim.queues is None and claim.tags is None
        if (is_any and not dialect.has_paused_queues) or ranges > MAX_RANGES:
            wanted, parameters = dialect.wanted(claim)
            text = dialect.sql(sql.PLAIN, wanted=wanted, joined=dialect.joined)
        else:
            shape, parameters = dialect.wanted_ranges(claim)
            text = dialect.sql(sql.PLAIN_IN_RANGES, **shape, joined=dialect.joined)
        places: dict[bool, dict[str, Place]] = {False: {}, True: {}}
        for is_async, priority, joined in dialect.execute(text, now=claim.ahead, most=most, **parameters):
            for job_id, _, due in (entry.partition(" ") for entry in (joined or "").split(",")):
                if moment := readable_time(due):
                    places[bool(is_async)][job_id] = claim.rank(priority, moment)
        return {kind: deque(sorted(of_kind.values())) for kind, of_kind in places.items()}

    @cached_property
    def _fragments(self) -> dict[str, str]:
        by_index = self._dialect.by_index.replace("{index}", "django_loco_limited")
        return {
            "by_index": by_index,
            "row": self._dialect.row,
            "few_keys": self._dialect.few.format("keys.limit_key"),
            "few_listed": self._dialect.few.format("listed.limit_key"),
            "head_read": self._dialect.read("head", "DateTimeField"),
            "order_read": self._dialect.read(self._dialect.text(sql.ORDER), "DateTimeField"),
        }

    def _heads(
        self, claim: Claim, has_plain: bool, lock_heads: str, levels: Sequence[LimitLevel], most: int
    ) -> dict[LimitLevel, deque[Head]]:
        """Return the first jobs of levels. Their places matter only if there are plain jobs as well."""
        wanted, parameters = self._dialect.wanted(claim)
        moments: dict[str, Any] = {"now": claim.ahead, "until": claim.ahead + sql.SKEW_SECONDS}
        listed = [{"number": number, **level._asdict()} for number, level in enumerate(levels)]
        found: dict[LimitLevel, deque[Head]] = {}
        fragments = {"wanted": wanted, "lock_heads": lock_heads, **self._fragments}
        for number, row, order in self._dialect.limited_heads(listed, fragments, most=most, **moments, **parameters):
            if due := readable_time(order) if has_plain else EPOCH:
                level = levels[number]
                found.setdefault(level, deque()).append((row, claim.rank(level.priority, due)))
        return found
