"""A fork of a thread of ours leaves the connections that it inherits to its original."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from django_loco.core.threads import DaemonThread
from django_loco.worker.execution import connections


def wrapper(**changes: Any) -> SimpleNamespace:
    options = {
        "connection": object(),
        "in_atomic_block": False,
        "closed_in_transaction": False,
        "needs_rollback": False,
        "run_on_commit": ["something"],
    }
    return SimpleNamespace(**options | changes)


@pytest.fixture
def fork_with(monkeypatch):
    """Returns the connection as a fork finds it, and what stays referenced."""

    def fork(one: SimpleNamespace, thread: Any = DaemonThread) -> SimpleNamespace:
        kept: list[object] = []
        monkeypatch.setattr(connections, "connections", SimpleNamespace(all=lambda: [one]))
        monkeypatch.setattr(connections, "_inherited", kept)
        if thread is None:
            connections._leave_to_original()
        else:
            running = thread(target=connections._leave_to_original)
            running.start()
            running.join()
        one.kept = kept
        return one

    return fork


def test_it_connects_anew_and_the_session_is_not_ended(fork_with):
    raw = object()
    found = fork_with(wrapper(connection=raw))
    assert (found.connection, found.run_on_commit, found.kept) == (None, [], [raw])
    assert not found.closed_in_transaction


def test_a_transaction_that_was_open_refuses_queries(fork_with):
    found = fork_with(wrapper(in_atomic_block=True))
    assert found.connection is None
    assert found.closed_in_transaction
    assert found.needs_rollback


def test_a_pool_is_made_anew_also_if_nothing_was_taken_from_it(fork_with):
    pools = {"default": "a pool"}
    found = fork_with(wrapper(connection=None, _connection_pools=pools))
    assert (pools, found.kept) == ({}, [{"default": "a pool"}])


@pytest.mark.parametrize(("of_fork", "thread"), [({"is_in_memory_db": lambda: True}, DaemonThread), ({}, None)])
def test_a_database_in_memory_and_threads_of_others_are_left_alone(fork_with, of_fork, thread):
    found = fork_with(wrapper(**of_fork), thread)
    assert found.connection is not None
    assert found.run_on_commit == ["something"]
