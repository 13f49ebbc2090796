"""Calls a function after all open transactions have committed, so that no job runs on data that is not stored yet.

A job enqueued inside ``atomic()`` reaches its queue when the transactions that are open at that moment have committed,
and not at all if one is rolled back. A queue in a database takes part in the transaction of that database, so only the
others are waited for. Django's own ``on_commit`` waits for one database; Sidekiq waits for all, as this module does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import Atomic, get_connection, on_commit
from django.dispatch import receiver

from . import running_tests


def open_transactions(except_for: str | None = None) -> list[str]:
    """Return the database aliases on which the calling thread is inside ``atomic()``.

    The blocks that ``TestCase`` wraps around a test do not count, because they never commit.
    """
    return [
        connection.alias
        for connection in connections.all(initialized_only=True)
        if connection.alias != except_for and _is_open(connection)
    ]


def hand_made_transactions() -> list[str]:
    """Return the database aliases on which the calling thread has called ``set_autocommit(False)``.

    Not those whose setting ``AUTOCOMMIT`` is false: a project knows that it has to commit there.
    """
    return [
        connection.alias
        for connection in connections.all(initialized_only=True)
        if connection.connection is not None
        and not (connection.autocommit or connection.in_atomic_block)
        and connection.settings_dict["AUTOCOMMIT"]
    ]


def _is_open(connection: BaseDatabaseWrapper) -> bool:
    return any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)


def after_commit(action: Callable[[], object], except_for: str | None = None, job_ids: Collection[str] = ()) -> bool:
    """Call ``action`` as soon as no transaction is open, except on the database alias ``except_for``.

    Returns whether it was called at once. It is never called if one of the transactions is rolled back. ``job_ids`` are
    those of the jobs that it stores, for ``is_stored_later``.
    """
    aliases = open_transactions(except_for)
    if not aliases:
        action()
        return True
    # One at a time: when the first has committed, the others may have committed as well.
    on_commit(_Hook(action, except_for, job_ids), using=aliases[0])
    return False


class SinceThen:
    """The transactions that are open when it is made, to find out later whether one was rolled back meanwhile."""

    __slots__ = ("_hooks",)

    def __init__(self, databases: Collection[str] | None = None) -> None:
        """``databases`` are the aliases of those that count; by default all."""
        self._hooks = _lists_of_hooks(databases)

    def may_be_undone(self) -> bool:
        """Return whether one of them has ended, or was rolled back to a savepoint; ``False``: nothing was undone."""
        present = _lists_of_hooks() if self._hooks else []
        return not all(any(hooks is each for each in present) for hooks in self._hooks)


def _lists_of_hooks(databases: Collection[str] | None = None) -> list[list[Any]]:
    """Return the hooks of the open transactions. Django makes a new list at each rollback, and at the commit."""
    aliases = open_transactions()
    return [connections[alias].run_on_commit for alias in aliases if databases is None or alias in databases]


class WaitingForCommit(NamedTuple):
    """The numbers of functions that wait for the end of the calling thread's transactions."""

    own: int
    """Calls of ``enqueue()`` and the like, which wait in ``after_commit``."""

    others: int
    """Functions that were passed to Django's ``on_commit``; in a ``TestCase`` also those that a test has called."""


def waiting_for_commit() -> WaitingForCommit:
    """Return what waits for the commit of the calling thread's transactions, those of a ``TestCase`` included."""
    hooks = _waiting_hooks()
    own = [hook for hook in hooks if isinstance(hook, _Hook)]
    return WaitingForCommit(sum(not hook.was_called for hook in own), len(hooks) - len(own))


def is_stored_later(job_id: str) -> bool:
    """Return whether the job waits for the commit of the calling thread's transactions, and is not stored yet."""
    return any(isinstance(hook, _Hook) and not hook.was_called and job_id in hook.job_ids for hook in _waiting_hooks())


def _waiting_hooks() -> list[Any]:
    return [hook for each in connections.all(initialized_only=True) for _, hook, *_ in each.run_on_commit]


@dataclass(eq=False)
class _Hook:
    """The function that ``on_commit`` calls. It acts once, although in a ``TestCase`` it may be called twice."""

    action: Callable[[], object]
    except_for: str | None
    job_ids: Collection[str]
    was_called: bool = False

    def __call__(self) -> None:
        if not self.was_called:
            self.was_called = True
            after_commit(self.action, self.except_for, self.job_ids)


@receiver(running_tests.test_began)
def _end_blocks_like_commits(**kwargs: Any) -> None:
    """In a ``TestCase``, call the hooks at the end of the outermost block of the test's own.

    Django does not call them, because nothing is committed in a ``TestCase``.
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
    for _, hook, *_ in list(connection.run_on_commit):  # Django has removed the hooks of blocks that were rolled back.
        if isinstance(hook, _Hook):
            hook()
