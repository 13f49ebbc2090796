"""Runs statements on SQLite: without waiting for the disk if that may be, and however their texts are encoded.

``connections.tune`` keeps many processes from failing with "database is locked":

1. WAL: readers never wait for the writer, and the writer never waits for readers.
2. Transactions begin with ``BEGIN IMMEDIATE``. A transaction that first reads and then writes cannot
   wait for the lock in the middle: its reads may be outdated by then, so SQLite refuses at once, however long the
   timeout. A transaction that takes the lock at the start waits.
3. The timeout for locks is 20 seconds.

Durability: an enqueue is as durable as the project's own writes (``PRAGMA synchronous``, by default FULL: it is on
the disk before it returns). Claims and outcomes are written with NORMAL, which does not wait for the disk each time. A
power cut may undo the last of them, so that these jobs run again, which "at least once" allows. No job disappears, and
killing a process undoes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from django.db import OperationalError, transaction

from ...base import PROBE_SECONDS
from ...rows import Row
from ..dialect import Dialect
from .connections import close_if_replaced, relaxed

#: Part of the error of Python's ``sqlite3`` for text that cannot be decoded.
NOT_UTF8 = "Could not decode to UTF-8"
#: Runs a statement: see ``Dialect.execute``.
Execute = Callable[..., list[Row]]


class SQLiteSession(Dialect):
    """How the calling thread runs statements."""

    @property
    def connection(self) -> Any:
        """The calling thread's connection, to the file that is at its path now."""
        connection = super().connection
        close_if_replaced(connection)
        return connection

    def execute(self, sql: str, *, text_factory: Any = None, **parameters: Any) -> list[Row]:
        """Run a statement. Text that is not UTF-8 is returned as bytes, instead of an error for all rows.

        ``text_factory`` makes a value of text in another way; ``str`` is by far the fastest, and raises that error.
        """
        self.connection.ensure_connection()
        raw = self.connection.connection
        before, raw.text_factory = raw.text_factory, text_factory or _text
        try:
            return super().execute(sql, **parameters)
        finally:
            raw.text_factory = before

    def select(self, sql: str, **parameters: Any) -> list[Row]:
        """Run a statement that changes nothing. It is run again if it meets text that is not UTF-8: see ``_taken``."""
        try:
            return self.execute(sql, text_factory=str, **parameters)
        except OperationalError as error:
            if NOT_UTF8 not in str(error):
                raise
        return self.execute(sql, **parameters)

    def write(self, sql: str, *, wakes: bool = False, is_durable: bool = False, **parameters: Any) -> list[Row]:  # noqa: ARG002
        """Run a statement. Waiting workers notice any change of the file by themselves."""
        with nullcontext() if is_durable else self.relaxed():
            return self.execute(sql, **parameters)

    def _taken(self, take: Callable[[Execute], Iterable[Row]]) -> list[Row]:
        """Return the rows that ``take`` yields, in one transaction.

        Reading text leniently takes a tenth of a claim. So it is done only if the first try meets text that is not
        UTF-8, and has been rolled back.
        """
        try:
            with self.relaxed(), transaction.atomic(using=self.database):
                return [*take(partial(self.execute, text_factory=str))]
        except OperationalError as error:
            if NOT_UTF8 not in str(error):
                raise
        with self.relaxed(), transaction.atomic(using=self.database):
            return [*take(self.execute)]

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Set the timeout for locks to ``PROBE_SECONDS`` within the block."""
        connection = self.connection
        connection.ensure_connection()
        raw = connection.connection
        (before,) = raw.execute("PRAGMA busy_timeout").fetchone()
        raw.execute(f"PRAGMA busy_timeout = {min(before, round(1000 * PROBE_SECONDS))}")
        try:
            yield
        finally:
            if connection.connection is raw:  # otherwise it was closed
                raw.execute(f"PRAGMA busy_timeout = {before}")

    def relaxed(self) -> AbstractContextManager[None]:
        """Write without waiting for the disk within the block. Raises Django's database errors."""
        return relaxed(self.connection)


def _text(stored: bytes) -> str | bytes:
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return stored
