from __future__ import annotations

import gc
import os

import pytest
from redis import BlockingConnectionPool, ConnectionPool

from django_loco.queues.redis.connections import spare_connection
from django_loco.queues.redis.connections.spare_connection import LARGE_POOL, SpareConnection


class CountedConnection:
    """A connection to nothing, which counts how often its pool has handed it out."""

    def __init__(self, **_options) -> None:
        self.pid, self.times_handed_out = os.getpid(), 0

    def connect(self):
        self.times_handed_out += 1

    def can_read(self, timeout=0):
        return False

    def should_reconnect(self):
        return False

    def re_auth(self): ...

    def disconnect(self, *_args): ...


def new_pool(kind=ConnectionPool, size=LARGE_POOL):
    return kind(connection_class=CountedConnection, max_connections=size)


@pytest.fixture
def pool():
    return new_pool()


@pytest.fixture
def spare():
    return SpareConnection()


def used(spare, pool, *, is_repeatable=True):
    """Use a connection for a command that is answered; return it."""
    taken = spare.take(pool, is_repeatable=is_repeatable)
    spare.keep(pool, taken)
    return taken.connection


def test_the_next_script_gets_the_connection_of_the_last_one(spare, pool):
    first = used(spare, pool)
    assert used(spare, pool) is first
    assert first.times_handed_out == 1
    assert pool.get_connection() is not first


def test_what_cannot_be_repeated_gets_a_connection_that_the_pool_has_checked(spare, pool):
    first = used(spare, pool)
    second = used(spare, pool, is_repeatable=False)
    assert second is not first
    assert used(spare, pool, is_repeatable=False) is second
    assert second.times_handed_out == 2


def test_a_connection_goes_back_after_a_while(spare, pool, monkeypatch):
    monkeypatch.setattr(spare_connection, "SPARE_SECONDS", -1.0)
    first = used(spare, pool)
    assert used(spare, pool) is first
    assert first.times_handed_out == 2


def test_one_is_kept_of_two_that_are_used_at_once(spare, pool):
    one, other = (spare.take(pool, is_repeatable=True) for _ in range(2))
    spare.keep(pool, one)
    spare.keep(pool, other)
    assert used(spare, pool) is one.connection
    assert pool.get_connection() is other.connection


@pytest.mark.parametrize(("kind", "size"), [(ConnectionPool, LARGE_POOL - 1), (BlockingConnectionPool, LARGE_POOL)])
def test_a_pool_that_may_be_as_large_as_it_has_to_be_keeps_all(spare, kind, size):
    pool = new_pool(kind, size)
    first = used(spare, pool)
    assert used(spare, pool) is first
    assert first.times_handed_out == 2


def test_each_pool_has_its_own(spare, pool):
    other_pool = new_pool()
    first, other = used(spare, pool), used(spare, other_pool)
    assert first is not other
    assert (used(spare, pool), used(spare, other_pool)) == (first, other)


def test_a_forked_process_does_not_use_the_connection_of_its_parent(spare, pool, monkeypatch):
    first = used(spare, pool)
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    assert used(spare, pool) is not first


def test_it_goes_back_with_its_queue(pool):
    spare = SpareConnection()
    first = used(spare, pool)
    del spare
    gc.collect()
    assert pool.get_connection() is first
