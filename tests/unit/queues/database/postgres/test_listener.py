"""How often PostgreSQL's listeners are told of jobs."""

from __future__ import annotations

from types import SimpleNamespace

import psycopg
import pytest

from django_loco.queues.database.postgres import listener
from django_loco.queues.database.postgres.listener import (
    LONGEST_WINDOW_SECONDS,
    SHORTEST_WINDOW_SECONDS,
    Debounce,
    PostgresListener,
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def debounce(clock):
    return Debounce(clock)


def test_a_job_now_and_then_is_told_at_once(debounce, clock):
    for _ in range(5):
        assert debounce.begin() == SHORTEST_WINDOW_SECONDS
        clock.now += SHORTEST_WINDOW_SECONDS


def test_what_comes_within_a_window_is_not_told(debounce, clock):
    assert debounce.begin()
    clock.now += SHORTEST_WINDOW_SECONDS * 0.9
    assert not debounce.begin()


def test_windows_grow_while_they_are_of_use_and_no_longer(debounce, clock):
    lengths = [use(debounce, clock) for _ in range(6)]
    assert lengths == [
        SHORTEST_WINDOW_SECONDS,
        SHORTEST_WINDOW_SECONDS * 2,
        SHORTEST_WINDOW_SECONDS * 4,
        SHORTEST_WINDOW_SECONDS * 8,
        LONGEST_WINDOW_SECONDS,
        LONGEST_WINDOW_SECONDS,
    ]
    assert debounce.begin() == LONGEST_WINDOW_SECONDS, "for the last one was of use"
    clock.now += LONGEST_WINDOW_SECONDS
    assert debounce.begin() == SHORTEST_WINDOW_SECONDS


def test_a_window_without_its_notification_is_none(debounce):
    assert debounce.begin()
    debounce.forget()
    assert debounce.begin()


class RefusingConnection:
    """A connection to a server that refuses ``LISTEN``, as a replica does."""

    is_closed = False

    def wait(self, steps):
        raise NotImplementedError

    def execute(self, statement):
        raise psycopg.OperationalError("cannot execute LISTEN during recovery")

    def close(self):
        self.is_closed = True


def test_a_connection_that_may_not_listen_is_closed(monkeypatch):
    made = RefusingConnection()
    monkeypatch.setattr(psycopg, "connect", lambda **parameters: made)
    with pytest.raises(psycopg.OperationalError, match="LISTEN"):
        PostgresListener("default", "default").wait(1)
    assert made.is_closed


class PooledConnection:
    """A connection to a pooler, which made up the number of the server's process."""

    info = SimpleNamespace(backend_pid=1)

    def __init__(self, server_pid=2, heard=()):
        self.server_pid, self.heard = server_pid, heard
        self.said = []
        self.is_closed = False

    def wait(self, steps):
        raise NotImplementedError

    def execute(self, statement, parameters=()):
        self.said.append((statement if isinstance(statement, str) else statement.as_string()).split()[0])
        return [(self.server_pid,)]

    def notifies(self, *, timeout, stop_after):
        return iter(self.heard)

    def close(self):
        self.is_closed = True

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


@pytest.fixture
def connects_to(monkeypatch):
    """Return a function that sets what connects next."""
    monkeypatch.setattr(listener, "_deaf_until", {})

    def set_to(*connections):
        rest = iter(connections)
        monkeypatch.setattr(psycopg, "connect", lambda **parameters: next(rest))

    return set_to


def test_a_connection_without_a_pooler_listens_at_once(connects_to):
    direct = PooledConnection(server_pid=1)
    connects_to(direct)
    assert PostgresListener("default", "default").wait(1)
    assert direct.said == ["SELECT", "LISTEN"]


def test_a_pooler_that_passes_notifications_on(connects_to):
    pooled, other = PooledConnection(heard=["its own"]), PooledConnection()
    connects_to(pooled, other)
    assert PostgresListener("default", "default").wait(1)
    assert pooled.said == ["SELECT", "LISTEN", "UNLISTEN", "LISTEN"]
    assert (other.said, other.is_closed, pooled.is_closed) == (["SELECT"], True, False)


def test_nothing_listens_behind_a_pooler_that_passes_nothing_on(connects_to, caplog):
    caplog.set_level("INFO", "django_loco.queues")
    pooled = PooledConnection()
    connects_to(pooled, PooledConnection())
    deaf, next_one = PostgresListener("default", "default"), PostgresListener("locks", "default")
    assert deaf.wait(1), "jobs may have come before"
    assert (pooled.said, pooled.is_closed) == (["SELECT", "LISTEN", "UNLISTEN"], True)
    assert not deaf.wait(0)
    assert not next_one.wait(0), "it need not try as well"
    next_one.interrupt()
    assert not next_one.wait(60)
    assert [record.getMessage() for record in caplog.records] == [listener.DEAF % "default"]


def test_a_pooler_without_room_for_the_other_connection(connects_to, monkeypatch):
    pooled = PooledConnection()
    made = iter([pooled])

    def connect(**parameters):
        if found := next(made, None):
            return found
        raise psycopg.OperationalError("no more connections allowed")

    connects_to()
    monkeypatch.setattr(psycopg, "connect", connect)
    assert PostgresListener("default", "default").wait(1)
    assert pooled.said == ["SELECT", "LISTEN", "LISTEN"]


def use(debounce, clock):
    length = debounce.begin()
    assert not debounce.begin()
    clock.now += length
    return length
