"""Calls a function after all open transactions have committed, so that no job runs on data that is not stored yet.

A job enqueued inside ``atomic()`` reaches its queue when the transactions that are open at that moment have committed,
and not at all if one is rolled back. A queue in a database takes part in the transaction of that database, so it waits
only for the others. Django's own ``on_commit`` waits for one database; Sidekiq waits for all, as this module does.

Each open transaction has a hook of its own for each action. Django removes a hook when its transaction, or a savepoint
around it, is rolled back. So when all hooks of an action have been called, all its transactions have committed.

If a hook raises, Django does not call the hooks after it. So our hooks keep their errors, and after the last of them
``_LastHook`` raises the first error. A job that is refused does not drop the jobs that were enqueued after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import Atomic, get_connection, on_commit
from django.dispatch import receiver

from ..exceptions import RAISED_INTO_JOBS, QueueUnavailable
from . import running_tests

#: The number of further errors that a note names.
MOST_NAMED = 5


def open_transactions(except_for: str | None = None) -> list[str]:
    """Return the database aliases on which the calling thread is inside ``atomic()``.

    The blocks that ``TestCase`` wraps around a test do not count, because they never commit.
    """
    handler: Any = connections
    made = handler._connections  # noqa: SLF001 - connections.all() takes three times as long
    return [
        alias
        for alias in connections
        if (connection := getattr(made, alias, None)) is not None and alias != except_for and _is_open(connection)
    ]


def hand_made_transactions() -> list[str]:
    """Return the database aliases on which the calling thread has called ``set_autocommit(False)``.

    Aliases whose setting ``AUTOCOMMIT`` is false are left out: the project knows that it has to commit there.
    """
    return [
        connection.alias
        for connection in connections.all(initialized_only=True)
        if connection.connection is not None
        and not (connection.autocommit or connection.in_atomic_block)
        and connection.settings_dict["AUTOCOMMIT"]
    ]


def _is_open(connection: BaseDatabaseWrapper) -> bool:
    blocks = connection.atomic_blocks
    return bool(blocks) and any(not getattr(block, "_from_testcase", False) for block in blocks)


def after_commit(action: Callable[[], object], except_for: str | None = None, job_ids: Collection[str] = ()) -> bool:
    """Call ``action`` as soon as no transaction is open, except on the database alias ``except_for``.

    Returns whether it was called at once. It is never called if one of the transactions is rolled back. ``job_ids`` are
    the ids of the jobs that ``action`` stores, for ``is_stored_later``.
    """
    aliases = open_transactions(except_for)
    if not aliases:
        action()
        return True
    waiting = _Waiting(action, set(aliases), job_ids)
    for alias in open_transactions():
        hook = _Hook(waiting, alias)
        if alias == except_for:
            waiting.beside = hook
        _add(hook, connections[alias])
    return False


class SinceThen:
    """Keeps in mind which transactions are open, to find out later whether one was rolled back."""

    __slots__ = ("_hooks",)

    def __init__(self, databases: Collection[str] | None = None) -> None:
        """``databases`` are the aliases of the databases that count; by default all."""
        self._hooks = _lists_of_hooks(databases)

    def may_be_undone(self) -> bool:
        """Return whether one has ended, or was rolled back to a savepoint; ``False``: nothing was undone."""
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
    """Count the functions that wait for the commit of the calling thread's transactions, also in a ``TestCase``."""
    others = sum(not isinstance(hook, _Hook | _LastHook) for hook in _hooks())
    return WaitingForCommit(len(_all_waiting()), others)


def is_stored_later(job_id: str) -> bool:
    """Return whether the job waits for the commit of the calling thread's transactions, and is not stored yet."""
    return any(job_id in waiting.job_ids for waiting in _all_waiting())


def _hooks() -> list[Any]:
    return [hook for each in connections.all(initialized_only=True) for _, hook, *_ in each.run_on_commit]


def _all_waiting() -> list[_Waiting]:
    """Return the actions that wait. An action with a transaction that was rolled back is left out."""
    found = Counter(hook.waiting for hook in _hooks() if isinstance(hook, _Hook) and hook.is_awaited)
    return [waiting for waiting, hooks in found.items() if hooks == len(waiting.aliases)]


@dataclass(eq=False)
class _Waiting:
    """An action, and the aliases of the databases whose commits it still waits for."""

    action: Callable[[], object]
    aliases: set[str]
    job_ids: Collection[str]
    beside: _Hook | None = None
    """The hook in the queue's own transaction, which the action joins and does not wait for."""

    was_called: bool = False

    @property
    def is_due(self) -> bool:
        """Whether all transactions have committed, and the queue's own one was not rolled back."""
        return not (self.was_called or self.aliases or (self.beside is not None and self.beside.was_dropped()))

    def call(self) -> None:
        """Call the action."""
        self.was_called = True
        self.action()


@dataclass(eq=False)
class _Hook:
    """The function that ``on_commit`` calls in one transaction. In a ``TestCase`` it may be called twice."""

    waiting: _Waiting
    alias: str
    was_called: bool = False
    hooks: list[Any] = field(default_factory=list)
    """The list that it was added to. Django makes a new one at each rollback, and at the commit."""

    errors: _Errors | None = None
    """Where its errors go; ``None``: it raises them."""

    @property
    def is_awaited(self) -> bool:
        return self.alias in self.waiting.aliases

    def was_dropped(self) -> bool:
        """Return whether its transaction, or a savepoint around it, was rolled back."""
        present = connections[self.alias].run_on_commit
        return not (self.was_called or present is self.hooks or any(hook is self for _, hook, *_ in present))

    def __call__(self) -> None:
        self.note_commit(self.errors)

    def note_commit(self, errors: _Errors | None) -> None:
        """Call the action if this was the last commit that it waited for; ``errors`` keeps its error."""
        self.was_called = True
        self.waiting.aliases.discard(self.alias)
        if self.waiting.is_due:
            call = self.waiting.call
            call() if errors is None else errors.keep_from(call)


class _Errors:
    """The errors of our hooks in one transaction, which are raised when all of them have been called."""

    def __init__(self) -> None:
        self._errors: list[Exception] = []
        self._left_out = 0
        self.last: _LastHook | None = None

    def keep_from(self, action: Callable[[], object]) -> None:
        """Call ``action``, and keep its error. After a ``QueueUnavailable``, do not call it.

        Each further call would wait for the timeout of the store.
        """
        if any(isinstance(error, QueueUnavailable) for error in self._errors):
            self._left_out += 1
            return
        try:
            action()
        except RAISED_INTO_JOBS:
            raise
        except Exception as error:  # noqa: BLE001 - it is raised after the last hook
            self._errors.append(error)

    def raise_first(self) -> None:
        """Raise the first error, if there is one."""
        if not self._errors:
            return
        (first, *others), self._errors = self._errors, []
        if others:
            named = "; ".join(f"{type(error).__name__}: {error}" for error in others[:MOST_NAMED])
            more = f"; and {len(others) - MOST_NAMED:,} more" if len(others) > MOST_NAMED else ""
            first.add_note(f"Further errors at this commit: {named}{more}")
        if self._left_out:
            first.add_note(f"{self._left_out:,} calls that waited for this commit were not tried after it.")
        raise first


@dataclass(eq=False)
class _LastHook:
    """A hook after each of our hooks in a transaction. The last raises the first error, with the others as notes."""

    errors: _Errors

    def __call__(self) -> None:
        if self.errors.last is self:
            self.errors.raise_first()


def _add(hook: _Hook, connection: BaseDatabaseWrapper) -> None:
    on_commit(hook, using=hook.alias)
    hook.hooks = hooks = connection.run_on_commit
    if any(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
        return  # ``_call_hooks`` keeps the errors
    found = (each.errors for _, each, *_ in reversed(hooks) if isinstance(each, _LastHook))
    hook.errors = errors = next(found, None) or _Errors()
    errors.last = _LastHook(errors)
    on_commit(errors.last, using=hook.alias)
    hooks[-1][0].clear()  # its savepoints: it stays when one of them is rolled back


@receiver(running_tests.test_began)
def _end_blocks_like_commits(**kwargs: Any) -> None:
    """In a ``TestCase``, call the hooks at the end of the outermost block that the test itself opens.

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
    errors = _Errors()
    for _, hook, *_ in list(connection.run_on_commit):  # Django has removed the hooks of blocks that were rolled back.
        if isinstance(hook, _Hook):
            hook.note_commit(errors)
    errors.raise_first()
