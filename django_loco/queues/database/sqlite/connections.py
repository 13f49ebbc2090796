"""How connections to SQLite files with jobs are set up, and closed if their file was replaced."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import DatabaseError

from ....conf import DEFAULT_MODE
from ....core.compat import task_backends
from ....log.safe import get_logger
from ... import BUILT_IN, DEFAULT
from ...timeouts import current_store_timeout, has_store_timeout
from .clones import clone_whole
from .file_path import file_of, is_on_read_only_system

BUSY_MILLISECONDS = 20_000
#: With this level of ``PRAGMA synchronous``, commits do not wait for the disk.
NORMAL = 1
#: The bits of an error code of SQLite that say what it is; the others say more about it.
PRIMARY_CODE = 0xFF
#: The time between two checks that the file is still the one that was opened.
FILE_CHECK_SECONDS = 1.0

logger = get_logger(__name__)


def tune(*, connection: Any, **kwargs: Any) -> None:
    """Set up a new connection (a receiver of ``connection_created``) if a database queue uses its file.

    Options that the project has set in ``DATABASES`` are not changed: ``timeout``, ``transaction_mode``, and pragmas in
    ``init_command``.
    """
    if connection.vendor != "sqlite" or connection.alias not in served():
        return
    connection.loco_file = _identity(connection)
    chosen = connection.settings_dict["OPTIONS"]
    if "transaction_mode" not in chosen:
        connection.transaction_mode = "IMMEDIATE"
    commands = str(chosen.get("init_command", "")).lower()
    if "timeout" not in chosen and "busy_timeout" not in commands:
        connection.connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    if "journal_mode" not in commands and not connection.is_in_memory_db():
        _switch_to_wal(connection)
        clone_whole(connection)


def close_if_replaced(connection: Any, every: float = FILE_CHECK_SECONDS) -> None:
    """Close a connection whose file was deleted or replaced, unless it is in a transaction.

    Checks each ``every`` seconds. Does nothing with a connection to a file without jobs, or to another engine.
    """
    opened = getattr(connection, "loco_file", None)
    if opened is None or connection.connection is None or connection.in_atomic_block:
        return
    looked_at, now = getattr(connection, "loco_looked_at", 0.0), time.monotonic()
    if now - looked_at < every:
        return
    connection.loco_looked_at = now
    if _identity(connection) != opened:
        logger.warning("%s was deleted or replaced; the new file is used", connection.settings_dict["NAME"])
        connection.close()


def wait_no_longer(connection: Any) -> None:
    """Let an open connection wait for other writers no longer than the store timeout of the calling thread."""
    if has_store_timeout():
        connection.connection.execute(f"PRAGMA busy_timeout = {round(1000 * current_store_timeout())}")


def was_busy(error: Exception) -> bool:
    """Return whether Django has raised ``error`` because another connection was writing for too long."""
    return getattr(error.__cause__, "sqlite_errorcode", 0) & PRIMARY_CODE == sqlite3.SQLITE_BUSY


def _identity(connection: Any) -> tuple[int, int] | None:
    """Return the identity of the file at the path of ``connection``; ``None`` if there is no file."""
    if connection.is_in_memory_db():
        return None
    try:
        found = file_of(connection).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def served() -> set[str]:
    """Return the aliases in ``DATABASES`` that queues of this project store jobs in."""
    every = [(params.get("BACKEND", ""), params.get("OPTIONS", {})) for params in task_backends.settings.values()]
    return {
        options.get("database", "default")
        for backend, options in every
        if not backend.startswith(("django.", "django_tasks."))
        and options.get("mode", getattr(settings, "WORKER_MODE", DEFAULT_MODE)) == "BackgroundQueue"
        and options.get("queue", DEFAULT) in ("database", BUILT_IN["database"])
    }


def _switch_to_wal(connection: Any) -> None:
    """Switch the file to WAL, permanently. This needs a moment in which no other process uses the file."""
    try:
        connection.connection.execute("PRAGMA journal_mode = WAL")
    except connection.Database.OperationalError as error:
        reason = "its file system is read-only" if is_on_read_only_system(file_of(connection)) else error
        name = connection.settings_dict["NAME"]
        logger.warning("%s could not be switched to WAL; it will be tried again: %s", name, reason)
    except connection.Database.DatabaseError as error:  # it is another file, as the next statement says, too
        logger.debug("%s cannot be switched to WAL: %s", connection.settings_dict["NAME"], error)


@contextmanager
def relaxed(connection: Any) -> Iterator[None]:
    """Write without waiting for the disk within the block. Raises Django's database errors."""
    with connection.wrap_database_errors:
        level = _begin_to_relax(connection)
    try:
        yield
    finally:
        if level is not None:
            _insist_again(connection, level)


def _begin_to_relax(connection: Any) -> int | None:
    """Lower ``synchronous``; return the level to restore, or ``None`` if nothing was changed."""
    connection.ensure_connection()
    raw = connection.connection
    (level,) = raw.execute("PRAGMA synchronous").fetchone()
    if raw.in_transaction or level <= NORMAL or raw.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        return None
    raw.execute("PRAGMA synchronous = NORMAL")
    return int(level)


def _insist_again(connection: Any, level: int) -> None:
    """Restore ``synchronous``, or close the connection: the project's own writes must reach the disk."""
    try:
        with connection.wrap_database_errors:
            connection.connection.execute(f"PRAGMA synchronous = {level}")
    except DatabaseError:
        logger.warning("A connection to %s is closed", connection.settings_dict["NAME"], exc_info=True)
        connection.close()
