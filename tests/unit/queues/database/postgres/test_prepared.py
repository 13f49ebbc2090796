"""Which statements are prepared, and what happens if a prepared one is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, ProgrammingError

from django_loco.queues.database.postgres.prepared import (
    MAX_AGE_SECONDS,
    SLOW_ROW_SECONDS,
    SLOW_RUNS,
    SLOW_SECONDS,
    PreparedStatements,
)

SQL = "SELECT %(room)s::int, %(name)s FROM job WHERE name = %(name)s"
VALUES = {"name": "a", "unused": None, "room": 1}


class Connection:
    """In place of a connection, for which statements are remembered."""

    autocommit = True


class Cursor:
    """In place of Django's cursor: notes what it runs, and raises an error if it begins with ``refuses``."""

    def __init__(self, connection: Any, refuses: str = "-", code: str = "26000") -> None:
        self.connection = connection
        self.cursor = psycopg.ClientCursor.__new__(psycopg.ClientCursor)
        self.refuses, self.code = refuses, code
        self.texts: list[str] = []
        self.rowcount = -1
        self.takes: Callable[[], object] = lambda: None

    def execute(self, sql: str, parameters: Any = None) -> None:
        self.texts.append(sql)
        self.takes()
        if sql.startswith(self.refuses):
            cause = psycopg.errors.lookup(self.code)()
            raise (OperationalError if self.code == "26000" else ProgrammingError) from cause


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def statements(clock: Clock) -> PreparedStatements:
    return PreparedStatements(clock)


@pytest.fixture
def connection() -> Connection:
    return Connection()


def verbs(cursor: Cursor) -> list[str]:
    return [text.split()[0] for text in cursor.texts]


def test_a_statement_is_prepared_once_with_the_types_of_its_values(statements, connection):
    cursor = Cursor(connection)
    assert statements.run(cursor, SQL, VALUES)
    assert statements.run(cursor, SQL, VALUES | {"name": "b"})
    assert verbs(cursor) == ["PREPARE", "EXECUTE", "EXECUTE"]
    assert cursor.texts[0].endswith("(text, bigint) AS SELECT $2::int, $1 FROM job WHERE name = $1")
    assert cursor.texts[1].endswith("(%(name)s, %(room)s)")


def test_each_connection_has_its_own(statements, connection):
    statements.run(Cursor(connection), SQL, VALUES)
    other = Cursor(Connection())
    assert statements.run(other, SQL, VALUES)
    assert verbs(other) == ["PREPARE", "EXECUTE"]


def test_the_name_is_that_of_the_same_text_in_every_process(connection):
    one, other = Cursor(connection), Cursor(connection)
    PreparedStatements().run(one, SQL, VALUES)
    PreparedStatements().run(other, SQL, VALUES)
    assert one.texts == other.texts
    third = Cursor(connection)
    PreparedStatements().run(third, SQL, VALUES | {"room": "1"})
    assert third.texts[0].split()[1] != one.texts[0].split()[1]


def test_it_is_prepared_anew_after_a_while_and_for_other_types(statements, connection, clock):
    cursor = Cursor(connection)
    statements.run(cursor, SQL, VALUES)
    clock.now += MAX_AGE_SECONDS
    statements.run(cursor, SQL, VALUES)
    statements.run(cursor, SQL, VALUES | {"room": 1.5})
    assert verbs(cursor) == ["PREPARE", "EXECUTE", *["DEALLOCATE", "PREPARE", "EXECUTE"] * 2]


def test_one_that_was_slow_is_not_used_for_a_while_and_then_prepared_anew(statements, connection, clock):
    cursor = Cursor(connection)
    statements.run(cursor, SQL, VALUES)
    cursor.takes = lambda: setattr(clock, "now", clock.now + 2 * SLOW_SECONDS)
    for _ in range(SLOW_RUNS):
        assert statements.run(cursor, SQL, VALUES)
    assert not statements.run(cursor, SQL, VALUES)
    cursor.takes = lambda: None
    clock.now += MAX_AGE_SECONDS
    assert statements.run(cursor, SQL, VALUES)
    assert verbs(cursor) == ["PREPARE", *["EXECUTE"] * (1 + SLOW_RUNS), "DEALLOCATE", "PREPARE", "EXECUTE"]


def test_one_that_is_slow_now_and_then_or_has_many_rows_is_used_on(statements, connection, clock):
    cursor = Cursor(connection)
    for _ in range(SLOW_RUNS):
        cursor.takes = lambda: setattr(clock, "now", clock.now + 2 * SLOW_SECONDS)
        assert statements.run(cursor, SQL, VALUES)
        cursor.takes = lambda: None
        assert statements.run(cursor, SQL, VALUES)
    cursor.takes = lambda: setattr(clock, "now", clock.now + SLOW_SECONDS + 39 * SLOW_ROW_SECONDS)
    cursor.rowcount = 40
    for _ in range(2 * SLOW_RUNS):
        assert statements.run(cursor, SQL, VALUES)


def test_values_of_other_types_and_cursors_that_bind_are_left_alone(statements, connection):
    cursor = Cursor(connection)
    assert not statements.run(cursor, SQL, VALUES | {"name": None})
    cursor.cursor = psycopg.Cursor.__new__(psycopg.Cursor)  # type: ignore[assignment]
    assert not statements.run(cursor, SQL, VALUES)
    assert cursor.texts == []


@pytest.mark.parametrize(("refuses", "code"), [("EXECUTE", "26000"), ("PREPARE", "42P05"), ("EXECUTE", "0A000")])
def test_one_that_a_pooler_has_lost_ends_it(statements, connection, refuses, code):
    cursor = Cursor(connection, refuses, code)
    assert not statements.run(cursor, SQL, VALUES)
    assert statements.is_off
    tried = len(cursor.texts)
    assert not statements.run(cursor, SQL, VALUES)
    assert len(cursor.texts) == tried


def test_in_a_transaction_which_that_has_broken_it_is_raised(statements, connection, monkeypatch):
    monkeypatch.setattr(Connection, "autocommit", False)
    with pytest.raises(OperationalError):
        statements.run(Cursor(connection, "EXECUTE"), SQL, VALUES)
    assert statements.is_off


def test_other_errors_are_raised(statements, connection):
    with pytest.raises(ProgrammingError):
        statements.run(Cursor(connection, "EXECUTE", "42P01"), SQL, VALUES)
    assert not statements.is_off
