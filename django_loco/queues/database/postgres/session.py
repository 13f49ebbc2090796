"""Runs statements on PostgreSQL: prepared, with a notification for workers, and again after a conflict."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, cast

from django.db import Error, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from ....core import running_tests
from ....exceptions import QueueUnavailable
from ....log.safe import get_logger
from ...rows import Row
from ...timeouts import apply_store_timeout
from ..availability import is_conflict
from ..dialect import Dialect, T
from . import statements
from .listener import Debounce, channel_of, text_of
from .prepared import PreparedStatements

logger = get_logger("django_loco.queues")

#: The number of retries after a conflict, and the pause before the second one in seconds, which then doubles.
CONFLICTS, CONFLICT_PAUSE_SECONDS = 8, 0.005


class PostgresSession(Dialect):
    """How the calling thread runs statements."""

    def __init__(self, alias: str, database: str) -> None:
        """``alias`` is the one in ``TASKS``, ``database`` the one in ``DATABASES``."""
        super().__init__(alias, database)
        self._debounce = Debounce()
        self._channel = channel_of(alias)
        self._prepared = PreparedStatements()
        self._thread = _ThreadState()

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """The calling thread's connection, which obeys the thread's store timeout."""
        return apply_store_timeout(super().connection)

    def decide(self, act: Callable[[], T]) -> T:
        """Prepare the statements. They read jobs by the index of limited jobs, or by their ids."""
        with self.preparing():
            try:
                return super().decide(act)
            except Error:
                if not self._thread.prepares or not self._prepared.is_off:
                    raise
        return super().decide(act)  # a prepared statement was gone

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Prepare the statements of the block, unless the caller has a transaction: an error would break it."""
        before = self._thread.prepares
        self._thread.prepares = not self._prepared.is_off and self.connection.get_autocommit()
        try:
            yield
        finally:
            self._thread.prepares = before

    def write(
        self,
        sql: str,
        *,
        wakes: bool = False,
        is_durable: bool = False,  # noqa: ARG002 - the server decides
        notifying: str = "",
        **parameters: Any,
    ) -> list[Row]:
        """Run a statement that returns ids, with a notification if it ``wakes`` workers and no window is open.

        ``notifying`` is the statement with a notification, if it does not return ids.
        """
        if not wakes:
            return self.execute(sql, **parameters)
        notifying = notifying or self.sql(statements.NOTIFYING, sql=sql)
        # In a transaction PostgreSQL sends equal notifications once, at the commit, and that time is unknown.
        if not self.connection.get_autocommit():
            return self._notify(notifying, 0, **parameters)
        if window := self._debounce.begin():
            try:
                rows = self._notify(notifying, window, **parameters)
            except BaseException:
                self._debounce.forget()
                raise
            if not rows:  # nothing was changed, so nothing was announced
                self._debounce.forget()
            return rows
        rows = self.execute(sql, **parameters)
        if window := self._debounce.begin():  # the window ended while the statement ran
            try:
                self._notify(statements.NOTIFY, window)
            except Error as error:  # the statement is committed; workers look each second in any case
                self._debounce.forget()
                logger.debug("TASKS[%r]: workers could not be notified: %s", self.alias, error)
        return rows

    def execute(self, sql: str, **parameters: Any) -> list[Row]:
        """Run a statement. Outside of a transaction, run it again after a conflict with other transactions.

        Conflicts happen in projects that use ``REPEATABLE READ`` or ``SERIALIZABLE``.
        """
        return self._repeated(partial(self._execute_once, sql, **parameters))

    def together(self, act: Callable[[], T], *, savepoint: bool = False) -> T:
        """Run ``act`` in a transaction. If this has a transaction of its own, run it again after any conflict.

        A conflict may also come from the commit. The next try has PostgreSQL's default level of isolation, in which
        only a deadlock is a conflict.
        """
        tries = count()

        def begun() -> T:
            if next(tries):
                self._execute_once(statements.READ_COMMITTED)
            return act()

        return self._repeated(partial(super().together, begun, savepoint=savepoint))

    def _repeated(self, act: Callable[[], T]) -> T:
        for number in range(CONFLICTS):
            try:
                return act()
            except (OperationalError, QueueUnavailable) as error:
                if not is_conflict(error) or not self.connection.get_autocommit():
                    raise
            time.sleep(random.random() * CONFLICT_PAUSE_SECONDS * 2**number)  # noqa: S311 - jitter
        return act()

    def _execute_once(self, sql: str, **parameters: Any) -> list[Row]:
        if self._thread.prepares and running_tests.clock_shift is None:
            with self.connection.cursor() as cursor:
                if self._prepared.run(cursor, sql, {"alias": self.alias, **parameters}):
                    return cast("list[Row]", cursor.fetchall() if cursor.description else [])
        return super().execute(sql, **parameters)

    def _notify(self, sql: str, window: float, **parameters: Any) -> list[Row]:
        return self.execute(sql, channel=self._channel, window=text_of(window), **parameters)


class _ThreadState(threading.local):
    """The state of one thread."""

    prepares = False
    """Whether it prepares its statements."""

    had_room = False
    """Whether its last claim had room for more jobs than were due."""
