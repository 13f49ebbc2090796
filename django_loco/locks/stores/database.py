"""Locks in a table: what PostgreSQL and SQLite share."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from django.db import DatabaseError, InterfaceError

from ...exceptions import QueueUnavailable
from ...queues.database.availability import is_conflict, unusable
from ...queues.database.sqlite.connections import was_busy
from ..state import MICROS, TOKEN_MEMORY_SECONDS, LockState
from .base import LockStore, Stored
from .own_connections import OwnConnections

#: The time between two searches for locks that nobody uses any more.
SWEEP_SECONDS = 600.0

INSERT = """
    INSERT INTO django_loco_lock (backend, name, state, held_until, memory_until) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (backend, name) DO NOTHING
"""
UPDATE = """
    UPDATE django_loco_lock SET state = %s, held_until = %s, memory_until = %s
    WHERE backend = %s AND name = %s AND state = %s
"""
#: A held lock is kept for a day after the end of its lease, so rows that are kept for less than a day are not read.
HELD = """
    SELECT name, state FROM django_loco_lock
    WHERE backend = %s AND memory_until > %s AND held_until IS NOT NULL ORDER BY name
"""
SWEEP = "DELETE FROM django_loco_lock WHERE memory_until < %s"


class DatabaseLocks(LockStore):
    """Locks of one alias of ``TASKS``."""

    hint: ClassVar[str] = ""
    """Where the locks are, for errors."""

    def __init__(self, alias: str, database: str, name: str = "", first: Sequence[str] = ()) -> None:
        """``alias`` is the one in ``TASKS``, ``database`` the one in ``DATABASES``; see ``OwnConnections``."""
        self._alias, self._database = alias, database
        self._connections = OwnConnections(database, name, first)
        self._next_sweep = time.monotonic() + SWEEP_SECONDS

    def swap(self, name: str, before: str | None, after: LockState, now: int, wake: str = "") -> bool:
        """Store ``after`` if the text is still ``before``."""
        values = after.text(), after.holder and after.holder.until, after.memory_until(now)
        with self._explained():
            try:
                if before is None:
                    changed = self._write(INSERT, (self._alias, name, *values), wake)
                else:
                    changed = self._write(UPDATE, (*values, self._alias, name, before), wake)
            except DatabaseError as error:
                if not is_conflict(error):
                    raise
                changed = 0  # somebody else was faster
        self._sweep_now_and_then(now)
        return changed == 1

    def held(self) -> Sequence[tuple[str, Stored]]:
        """Return the rows with a holder."""
        now = self._now()
        rows = self._rows(HELD, self._alias, now + round(TOKEN_MEMORY_SECONDS * MICROS))
        return [(name, Stored(text, now)) for name, text in rows]

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._connections.close()

    @abstractmethod
    def _now(self) -> int:
        """Return the time of the clock that judges leases, in microseconds since 1970."""

    def _write(self, sql: str, parameters: tuple[Any, ...], wake: str) -> int:  # noqa: ARG002 - for PostgreSQL
        """Run a statement that changes a row; return how many it has changed."""
        changed, _ = self._connections.run(sql, parameters)
        return changed

    def _rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self._explained():
            return self._connections.run(sql, parameters)[1]

    def _sweep_now_and_then(self, now: int) -> None:
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + SWEEP_SECONDS
            with self._explained():
                self._connections.run(SWEEP, (now,))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raise ``QueueUnavailable`` for errors of the engine."""
        try:
            yield
        except (DatabaseError, InterfaceError) as error:
            where = f"The locks of TASKS[{self._alias!r}] are in DATABASES[{self._database!r}]{self.hint}"
            if was_busy(error):  # the usual remedy, the timeout in DATABASES, does not apply
                raise QueueUnavailable(f"{where}. Another process writes there for too long: let it end.") from error
            raise QueueUnavailable(unusable(where, self._database, error)) from error
