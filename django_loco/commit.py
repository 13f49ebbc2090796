"""Commit first: nothing may run on data that is not there yet, or never will be.

A job enqueued inside ``atomic()`` reaches its queue when the transactions that are open at that moment have
committed, and not at all if one is rolled back. A queue that lives in a database is itself part of that
database's transaction, so only the others are waited for. Sidekiq does the same ("after all open transactions
commit"); Django's own ``on_commit`` knows one database at a time.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import on_commit


def open_transactions(except_for: str | None = None) -> list[str]:
    """Return the database aliases on which the calling thread is inside ``atomic()``.

    The blocks that ``TestCase`` wraps around a test do not count: they never commit, so that nothing that waits
    for them would ever happen in a test.
    """
    return [
        connection.alias
        for connection in connections.all(initialized_only=True)
        if connection.alias != except_for and _is_open(connection)
    ]


def _is_open(connection: BaseDatabaseWrapper) -> bool:
    return any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)


def after_commit(action: Callable[[], object], except_for: str | None = None) -> bool:
    """Call ``action`` once no transaction is open but ``except_for``'s: now, or after the last commit.

    Returns whether that was now. If one of the transactions is rolled back, ``action`` is never called.
    """
    waiting = open_transactions(except_for)
    if not waiting:
        action()
        return True
    # One at a time: by the time the first has committed, the others may have, too.
    on_commit(lambda: _again(action, except_for), using=waiting[0])
    return False


def _again(action: Callable[[], object], except_for: str | None) -> None:
    after_commit(action, except_for)
