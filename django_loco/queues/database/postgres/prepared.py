"""Prepares the statements that workers use to fetch and finish jobs while few are due, and some others.

The others take limited jobs, and let the nodes of workflows run.

PostgreSQL parses and plans a statement in up to ten times the time in which it runs it, and most of the time from the
notification to the job's first line would be that.

1. A plan that was made for a small table may be slow on a large one. So a worker with a backlog of plain jobs does not
   use them. For ``MAX_AGE_SECONDS`` after ``SLOW_RUNS`` runs in a row that took longer than ``SLOW_SECONDS``, and
   ``SLOW_ROW_SECONDS`` for each row, a statement is planned anew each time: the table may have grown. A prepared
   statement lives for ``MAX_AGE_SECONDS``, too.
2. The name contains a hash of the text. Behind a pooler that gives each transaction another connection, a name stands
   for the same statement or for none. After an error of this kind no statement is prepared any more in this process.
   Such an error breaks a transaction. So only those are prepared of which a worker can run the transaction again.
3. PostgreSQL itself compares the costs of a general plan with those of plans for the given values, and plans anew if
   that is better (``plan_cache_mode``).
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import psycopg
from django.db import DatabaseError

MAX_AGE_SECONDS, SLOW_SECONDS, SLOW_ROW_SECONDS, SLOW_RUNS = 60.0, 0.01, 0.001, 3
#: The types of parameters in PostgreSQL. A statement with others is not prepared.
SQL_TYPES = {str: "text", bool: "boolean", int: "bigint", float: "double precision", datetime: "timestamptz"}
#: PostgreSQL's codes for a name that is unknown or already used, and for a plan whose columns have changed.
NOT_AS_PREPARED = ("26000", "42P05", "0A000")


class Statement(NamedTuple):
    """A prepared statement of one connection."""

    name: str
    call: str
    """The text that runs it, with the parameters of the original."""

    types: tuple[type, ...]
    prepared_at: float


class PreparedStatements:
    """The prepared statements of the connections of this process to one database."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` is ``time.monotonic``."""
        self.is_off = False
        """Whether a prepared statement was not what or where it should be."""
        self._clock = clock
        self._by_connection: WeakKeyDictionary[Any, dict[str, Statement]] = WeakKeyDictionary()
        self._slow_runs: Counter[str] = Counter()
        self._slow_until: dict[str, float] = {}

    def run(self, cursor: Any, sql: str, parameters: Mapping[str, Any]) -> bool:
        """Run ``sql`` by a Django ``cursor``; return whether it was run.

        Nothing was changed if it was not run. In a transaction, the error that sets ``is_off`` has broken this, and is
        raised.
        """
        if self.is_off or not isinstance(cursor.cursor, psycopg.ClientCursor):  # another cursor binds EXECUTE's values
            return False
        if sql in self._slow_until and self._clock() < self._slow_until[sql]:
            return False
        used = {name: value for name, value in parameters.items() if f"%({name})s" in sql}
        types = tuple(map(type, used.values()))
        if not SQL_TYPES.keys() >= {*types}:
            return False
        try:
            statement = self._prepared(cursor, sql, tuple(used), types)
            began = self._clock()
            cursor.execute(statement.call, used)
        except DatabaseError as error:
            if getattr(error.__cause__, "sqlstate", None) not in NOT_AS_PREPARED:
                raise
            self.is_off = True
            if not cursor.connection.autocommit:
                raise
            return False
        is_slow = self._clock() - began > SLOW_SECONDS + max(0, cursor.rowcount) * SLOW_ROW_SECONDS
        self._slow_runs[sql] = self._slow_runs[sql] + 1 if is_slow else 0
        if self._slow_runs[sql] == SLOW_RUNS:
            self._slow_until[sql] = self._clock() + MAX_AGE_SECONDS
            self._slow_runs[sql] = 0
        return True

    def _prepared(self, cursor: Any, sql: str, names: tuple[str, ...], types: tuple[type, ...]) -> Statement:
        known = self._by_connection.setdefault(cursor.connection, {})
        statement = known.get(sql)
        if statement is not None and self._is_valid(statement, types):
            return statement
        if statement is not None:
            del known[sql]
            cursor.execute(f"DEALLOCATE {statement.name}")
        sql_types = ", ".join(SQL_TYPES[kind] for kind in types)
        numbered = sql % {name: f"${number}" for number, name in enumerate(names, 1)}
        text = f"({sql_types}) AS {numbered}"
        name = f"loco_{hashlib.blake2s(text.encode(), digest_size=8).hexdigest()}"
        cursor.execute(f"PREPARE {name} {text}")
        call = f"EXECUTE {name} ({', '.join(f'%({each})s' for each in names)})"
        known[sql] = Statement(name, call, types, self._clock())
        return known[sql]

    def _is_valid(self, statement: Statement, types: tuple[type, ...]) -> bool:
        return statement.types == types and self._clock() < statement.prepared_at + MAX_AGE_SECONDS
