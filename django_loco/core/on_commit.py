"""Commit first: nothing may run on data that is not there yet, or never will be.

A job enqueued inside ``atomic()`` reaches its queue when the transactions that are open at that moment have
committed, and not at all if one is rolled back. A queue that lives in a database is itself part of that
database's transaction, so only the others are waited for. Sidekiq does the same ("after all open transactions
commit"); Django's own ``on_commit`` knows one database at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import Atomic, get_connection, on_commit
from django.dispatch import receiver

from . import test_environment


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
    on_commit(_Hook(action, except_for), using=waiting[0])
    return False


class _Hook:
    """What ``on_commit`` calls; once, though in a ``TestCase`` several may call it."""

    def __init__(self, action: Callable[[], object], except_for: str | None) -> None:
        self._action, self._except_for = action, except_for
        self._called = False

    def __call__(self) -> None:
        if not self._called:
            self._called = True
            after_commit(self._action, self._except_for)


@receiver(test_environment.test_began)
def _end_blocks_like_commits(**kwargs: Any) -> None:
    """In a ``TestCase`` make the end of the outermost block that is not Django's what a commit is outside of tests.

    Django does not call the hooks there, for nothing is committed.
    """
    exit_block = Atomic.__exit__
    if getattr(exit_block, "calls_hooks", False):
        return

    def __exit__(self: Any, *error: Any) -> None:  # noqa: N807 - it replaces one
        exit_block(self, *error)
        _call_hooks(get_connection(self.using))

    __exit__.calls_hooks = True  # type: ignore[attr-defined]
    Atomic.__exit__ = __exit__  # type: ignore[method-assign]


def _call_hooks(connection: BaseDatabaseWrapper) -> None:
    if not connection.atomic_blocks or _is_open(connection) or connection.needs_rollback:
        return
    for _, hook, *_ in list(connection.run_on_commit):  # Django has removed those of what was rolled back.
        if isinstance(hook, _Hook):
            hook()
