"""How often PostgreSQL's listeners are told of jobs."""

from __future__ import annotations

import psycopg
import pytest

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


def use(debounce, clock):
    length = debounce.begin()
    assert not debounce.begin()
    clock.now += length
    return length
