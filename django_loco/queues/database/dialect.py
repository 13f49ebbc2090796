"""The base class of the dialects: the statements that all engines of the database queue share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from django.apps import apps
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import atomic

from ...core.job import READY, SUMMARY, Job, Outcome, first_id, utcnow
from ...exceptions import LocoConfigurationError
from ..claim import Claim
from ..rows import COLUMNS, SET_BY_OUTCOME, Row, outcome_row
from .shown_rows import ids, shown_job_of
from .sql import statements
from .sql.engine import Engine
from .sql.index_ranges import DUE_RANGES, MAX_RANGES, condition_of, range_fragments_of
from .sql.limits import SKEW_SECONDS

T = TypeVar("T")

#: The fields that prove a claim, and the fields that an outcome stores.
CLAIM_COLUMNS = ("id", "token")
ENDED = (*CLAIM_COLUMNS, "due_at", *SET_BY_OUTCOME)
#: The columns that an outcome sets for some jobs only.
SET_ALSO = {"log": statements.SET_LOG, "kept_until": statements.SET_KEPT_UNTIL}
#: The place of ``is_async`` in a row.
IS_ASYNC = COLUMNS.index("is_async")
#: Seconds between two searches for jobs that seem to be from the future, and the number of jobs made due at once.
LOOK_AHEAD_SECONDS, AHEAD_BATCH = 5.0, 1_000


def rest_of(claim: Claim, rows: Sequence[Row]) -> Claim:
    """Return ``claim`` with the room that is left after ``rows``."""
    if not rows:
        return claim
    coroutines = sum(bool(row[IS_ASYNC]) for row in rows)
    threads = len(rows) - coroutines
    return replace(claim, threads=claim.threads - threads, coroutines=claim.coroutines - coroutines)


class Dialect(Engine):
    """The statements of one engine for one alias of ``TASKS``; they run on the calling thread's connection."""

    def __init__(self, alias: str, database: str) -> None:
        """``alias`` is the one in ``TASKS``, ``database`` the one in ``DATABASES``."""
        self.alias = alias
        self.database = database
        self._next_look = 0.0
        self.has_paused_queues = False  # at the last look; each statement of a fetch skips these queues in any case
        self._texts: dict[tuple[str, ...], str] = {}
        self.not_held_back = ""  # while tasks or tags are paused, the condition for other jobs

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """The calling thread's connection."""
        return connections[self.database]

    def claim(self, claim: Claim) -> list[Row]:
        """Hand due jobs to a worker; return their rows (``COLUMNS``, then ``due_at``) in any order."""
        if not self.reads_ranges(claim):
            return self.claim_in_order(claim)
        if claim.threads <= 0 and claim.coroutines <= 0:
            return []
        shape, parameters = self.wanted_ranges(claim)
        rows = self.execute(self.sql(DUE_RANGES, **shape), now=claim.ahead, **parameters)
        levels = [row for row in rows if isinstance(row[2], str)]  # SQLite may store names that are not text
        return self.claim_in_ranges(claim, levels, shape, **parameters) if levels else []

    def reads_ranges(self, claim: Claim) -> bool:
        """Return whether ``claim`` reads the ranges of an index instead of all jobs in their order."""
        number = len(claim.queues or ("any",)) * len(claim.tags or ("any",))
        is_any = claim.queues is None and claim.tags is None
        # With ageing no index has the order of the jobs, and priorities have to be merged, as ranges are.
        return claim.ageing is not None or not ((is_any and not self.has_paused_queues) or number > MAX_RANGES)

    def claim_again(self, claim: Claim) -> list[Row]:
        """Hand over, with new leases, the jobs of a fetch with the same nonce whose answer was lost."""
        return self.write(self.sql(statements.CLAIM_AGAIN), **self.claim_parameters(claim))

    def claim_suspect(self, claim: Claim) -> list[Row]:
        """Hand one due suspect to a worker, if there is one; return its row as ``claim`` does."""
        due, parameters = self._due_suspects(claim)
        if not self.execute(self.sql(statements.FIND_SUSPECT, due_suspects=due), now=0, **parameters):
            return []  # this reads only an index; a write would cost more
        return self.write(
            self.sql(statements.CLAIM_SUSPECT, due_suspects=due), **self.claim_parameters(claim), **parameters
        )

    def suspects(self, claim: Claim) -> int:
        """Return how many suspects are due."""
        due, parameters = self._due_suspects(claim)
        [(count,)] = self.execute(self.sql(statements.COUNT_SUSPECTS, due_suspects=due), now=0, **parameters)
        return int(count)

    def claim_parameters(self, claim: Claim) -> dict[str, Any]:
        """Return the parameters of statements that put jobs under the leases of ``claim``."""
        moments = {"clock": self.wall_time(), "now": claim.ahead, "until": claim.lease}
        return {"worker_id": claim.worker_id, "nonce": claim.nonce, "ageing": claim.ageing, **moments}

    def wall_time(self) -> Any:
        """Return the parameter for this machine's time."""
        return utcnow()

    def _due_suspects(self, claim: Claim) -> tuple[str, dict[str, Any]]:
        """Return the SQL that finds suspects of the queues, tags and kinds of ``claim``, and its parameters."""
        condition, parameters = self.wanted_kinds(claim)
        return self.sql(statements.DUE_SUSPECTS) + condition, dict(parameters)

    def finish(
        self, outcomes: Sequence[Outcome], statement: str = statements.FINISH, more: tuple[str, ...] = ()
    ) -> set[str]:
        """Store how jobs ended; return the ids of the jobs that were held with their tokens.

        ``more`` are further fields of the jobs that ``statement`` reads.
        """
        rows = [*map(outcome_row, outcomes)]
        if more:
            for row, outcome in zip(rows, outcomes, strict=True):
                row |= {name: getattr(outcome.job, name) for name in more}
        frees = any([outcome.job.limit_key is not None for outcome in outcomes])  # others may begin
        wakes = frees or is_due(outcome.run_after for outcome in outcomes if outcome.status == READY)
        also = {name: text if any([name in row for row in rows]) else "" for name, text in SET_ALSO.items()}
        held = self.held((*ENDED, *filter(also.get, also), *more))
        sql = self.sql(statement, held=held, same=self.same, set_also=" ".join(also.values()))
        return ids(self.write(sql, wakes=wakes, payload=json.dumps(rows), now=0))

    def noted_job_of(self, row: Row) -> Job:
        """Return the job in a row with ``{read_columns}``. The job notes its stored version."""
        job = shown_job_of(row)
        job.note = row[-1] if self.version else row[: len(COLUMNS)]
        return job

    def extend(self, jobs: Sequence[Job], lease: float) -> set[str]:
        """Renew leases; return the ids of the jobs that were held with their tokens."""
        payload = json.dumps([{"id": job.id, "token": job.token} for job in jobs])
        return ids(self.write(self.sql(statements.EXTEND, held=self.held(CLAIM_COLUMNS)), payload=payload, until=lease))

    def expired(self, limit: int) -> list[Row]:
        """Return jobs whose lease has run out, locked if the engine can lock rows."""
        return self.execute(self.sql(statements.EXPIRED), now=0, limit=limit)

    def clock(self) -> float:
        """Return the seconds since 1970 on the clock that judges leases."""
        return utcnow().timestamp()

    def take(self, claim: Claim, *, has_jobs: bool = True) -> Iterator[list[Row]]:
        """Claim jobs. If a clock was set back, make delayed jobs due, and claim again if there is room for them.

        Yields the rows of each claim before it tries anything else that may fail. Without ``has_jobs`` no job was due a
        moment ago, so this only looks for delayed jobs.
        """
        rows = self.claim(claim) if has_jobs else []
        yield rows
        if len(rows) < claim.threads + claim.coroutines and self._make_due_now_and_then():
            yield self.claim(rest_of(claim, rows))

    def make_due(self, limit: int) -> int:
        """Make up to ``limit`` jobs due that should run at once but seem to be from the future; return how many."""
        given: dict[str, Any] = {"now": 0, "until": SKEW_SECONDS, "id_now": first_id(utcnow())}
        if not self.execute(self.sql(statements.AHEAD, skip_locked=""), **given, limit=1):
            return 0
        sql = self.sql(statements.MAKE_DUE, in_ahead=self.is_in.format(statements.AHEAD))
        return len(self.write(sql, **given, limit=limit))

    def _make_due_now_and_then(self) -> bool:
        """Call ``make_due`` every ``LOOK_AHEAD_SECONDS``; return whether it has found jobs."""
        if time.monotonic() < self._next_look:
            return False
        count = self.make_due(AHEAD_BATCH)
        if count < AHEAD_BATCH:
            self._next_look = time.monotonic() + LOOK_AHEAD_SECONDS
        return count > 0

    def execute(self, sql: str, **parameters: Any) -> list[Row]:
        """Run a statement; return its rows, if it has any."""
        moments = {name: self.value(given) for name, given in parameters.items() if name in statements.MOMENTS}
        with self.connection.cursor() as cursor:
            cursor.execute(sql, {"alias": self.alias, **parameters, **moments})
            return cursor.fetchall() if cursor.description else []

    def select(self, sql: str, **parameters: Any) -> list[Row]:
        """``execute`` a statement that changes nothing and may return many texts."""
        return self.execute(sql, **parameters)

    def together(self, act: Callable[[], T], *, savepoint: bool = False) -> T:
        """Call ``act`` in the caller's transaction, or in one of its own; return its value.

        In a transaction of its own it may be called again, so it must change nothing but the database. ``savepoint``:
        after an error the caller's transaction can go on.
        """
        with atomic(using=self.database, savepoint=savepoint):
            return act()

    def decide(self, act: Callable[[], T]) -> T:
        """Return what ``act`` returns. It takes jobs while no other claim decides, and may be called again."""
        with self.relaxed(), atomic(using=self.database, savepoint=False):
            return act()

    def sql(self, template: str, **fragments: str) -> str:
        """Return ``text``, and keep the result for later calls."""
        key = (template, *fragments.values())
        if (text := self._texts.get(key)) is None:
            text = self._texts[key] = self.text(template, **fragments)
        return text

    def text(self, template: str, **fragments: str) -> str:
        """Return the text of a statement that has too many forms to keep each."""
        text, names = template, self.names | fragments
        while "{" in text:  # a fragment may contain names
            text = text.format(**names)
        return text

    def wanted(self, claim: Claim) -> tuple[str, dict[str, str]]:
        """Return the SQL condition for the queues and tags of ``claim``, and its parameters."""
        condition, parameters = condition_of(claim, self.names, self.contains)
        return condition + self.not_held_back + statements.UNPAUSED, parameters

    def wanted_kinds(self, claim: Claim) -> tuple[str, dict[str, str]]:
        """Return ``wanted``, without sync or async jobs if ``claim`` has no room for them."""
        condition, parameters = self.wanted(claim)
        if not (claim.threads and claim.coroutines):
            condition += f" AND {'' if claim.coroutines else 'NOT '}{self.names['is_async']}"
        return condition, parameters

    def wanted_ranges(
        self, claim: Claim, *, in_queues: bool = False, and_held_back: bool = False
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return the fragments that lead to the ranges of ``claim``, and their parameters.

        ``in_queues``: there is a range for each queue in any case. ``and_held_back``: the ranges of jobs that are to be
        held back are included.
        """
        condition, parameters = condition_of(claim, self.names, self.contains)
        shape, words = range_fragments_of(claim, self.tag_of_word, in_queues=in_queues or self.has_paused_queues)
        unpaused = statements.unpaused(
            condition + ("" if and_held_back else self.not_held_back), by_queue=bool(shape["in_queue"])
        )
        return shape | unpaused, parameters | words

    @cached_property
    def column_types(self) -> dict[str, str]:
        """The Django field types of the columns of jobs."""
        return {field.name: field.get_internal_type() for field in self._model.concrete_fields}

    @property
    def _model(self) -> Any:
        try:
            return apps.get_model("django_loco", "StoredJob")._meta  # noqa: SLF001 - Django documents it
        except LookupError:
            raise LocoConfigurationError(
                f"TASKS[{self.alias!r}] keeps its jobs in the database, but 'django_loco' is not in INSTALLED_APPS. "
                "Add it, and run manage.py migrate."
            ) from None

    @cached_property
    def names(self) -> dict[str, str]:
        """The SQL for the names in braces. Made at first use, because models are not loaded earlier."""
        quote = self.connection.ops.quote_name
        columns = {field.name: quote(str(field.column)) for field in self._model.concrete_fields}
        read = {name: self.read(column, self.column_types[name]) for name, column in columns.items()}
        names = columns | {moment: self.at(moment) for moment in statements.MOMENTS}
        names |= {name: quote(given) for name, given in statements.QUOTED.items()}
        names |= {
            "columns": ", ".join(read[name] for name in (*COLUMNS, "due_at")),
            "all_columns": self.all_columns,
            "summary": ", ".join([*(read[name] for name in SUMMARY), self.last_error.format(**names)]),
            "set_by_outcome": ", ".join(f"{names[name]} = held.{name}" for name in SET_BY_OUTCOME),
            "due_at_read": read["due_at"],
            "heartbeat_read": self.read("heartbeat_at", "DateTimeField"),
            "now_read": self.read(self.at("now"), "DateTimeField"),
            "id_apart": self.id_apart.format(names["id"]),
            "few_marks": self.few.format("CAST(marks.mark AS text)"),
            "few_payload": self.few.format("payload.queue_name"),
            "few_levels": self.few.format("CAST(levels.priority AS text)"),
            "few_ranges": self.few.format("ranges.queue_name"),
        }
        names["read_columns"] = ", ".join(filter(None, (names["columns"], self.version.format(table=""))))
        names |= {"contains": self.contains, "limited_at": self.limited_at, "only_limited": self.only_limited}
        names |= {"random_text": self.random_text, "by_index": self.by_index, "skip_locked": self.skip_locked}
        names |= {"id_now": self.id_now, "fence": self.fence, "lock_mine": self.lock_mine}
        return names | {name: text.format(**names) for name, text in statements.SHARED.items()}


def is_due(run_after: Iterable[datetime | None]) -> bool:
    """Return whether one of these times has passed; ``None`` always has."""
    now = utcnow()
    return any(moment is None or moment <= now for moment in run_after)
