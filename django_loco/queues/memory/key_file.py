"""The once-keys of a memory queue, reserved in one file by all processes of a project on one machine.

Jobs in memory belong to one process. But if four processes of a server have a scheduler each, a schedule must not run
four times. So a key is reserved before its job is stored: the process that inserts the row first has the job.

The file is a small SQLite database next to the files of ``spool``. It is opened for each call and closed again. So
nothing has to survive a fork, a deleted file is created again, and the locks and transactions of a killed process end
at once. Nothing waits for the disk, so a power cut may damage the file. It is then created again; the jobs, which were
in memory, are gone as well.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ...exceptions import QueueUnavailable
from ...log.safe import get_logger
from .private_files import FILE, make_folder, require_file

logger = get_logger(__name__)

#: The time that ``reserve`` waits for other processes.
RESERVE_SECONDS = 5.0
#: The time between two deletions of old keys by one process.
PRUNE_SECONDS = 600.0
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
SPOILT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

TABLE = "CREATE TABLE IF NOT EXISTS once (key TEXT PRIMARY KEY, claimed_at INTEGER NOT NULL) WITHOUT ROWID"
RESERVE = "INSERT OR IGNORE INTO once VALUES (?, ?)"
RELEASE = "DELETE FROM once WHERE key = ?"
PRUNE = "DELETE FROM once WHERE claimed_at < ?"


@dataclass(eq=False)
class OnceKeys:
    """The keys that were reserved in the file ``path``. Each is kept for ``remember`` seconds.

    May be used by many threads and processes at once. ``clock`` returns seconds since 1970.
    """

    path: Path
    remember: float
    clock: Callable[[], float] = time.time
    _next_prune: float = 0.0
    _warned: bool = False

    def reserve(self, keys: Sequence[str]) -> set[str]:
        """Reserve ``keys``; return the keys that no process had reserved before.

        If the file cannot be used, logs a warning once and returns all keys. Raises ``QueueUnavailable`` if other
        processes lock it for too long.
        """
        reserved = self._tried(keys)
        return set(keys) if reserved is None else reserved

    def release(self, keys: Sequence[str]) -> None:
        """Delete keys that were reserved for jobs that were not stored; if that fails, they stay reserved."""
        try:
            address = f"{self.path.absolute().as_uri()}?mode=rw"  # which creates no file
            with closing(sqlite3.connect(address, timeout=RESERVE_SECONDS, isolation_level=None, uri=True)) as file:
                file.executemany(RELEASE, [(key,) for key in keys])
        except sqlite3.Error as error:
            logger.debug("%s: %d keys stay reserved (%s)", self.path, len(keys), error)

    @property
    def works(self) -> bool:
        """Whether the file can be used. A file that is only locked can."""
        try:
            return self._tried(()) is not None
        except QueueUnavailable:
            return True

    def clear(self) -> None:
        """Delete all keys."""
        self.path.unlink(missing_ok=True)

    def _tried(self, keys: Sequence[str]) -> set[str] | None:
        """``reserve``, but return ``None`` if the file cannot be used."""
        try:
            return self._reserve(keys)
        except (sqlite3.Error, OSError) as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code in BUSY:
                raise QueueUnavailable(
                    f"{self.path} is held by another process for more than {RESERVE_SECONDS:g} s"
                ) from error
            if code in SPOILT and self._begin_anew():
                return self._tried(keys)
            self._warn(error)
            return None

    def _reserve(self, keys: Sequence[str]) -> set[str]:
        make_folder(self.path.parent)
        # Does not open the file: closing it would release the locks that another thread has on it.
        require_file(self.path.with_name(f"{self.path.name}-journal"))
        is_new = not require_file(self.path)
        with closing(sqlite3.connect(self.path, timeout=RESERVE_SECONDS, isolation_level=None)) as file:
            file.execute("PRAGMA synchronous = OFF")
            file.execute("BEGIN IMMEDIATE")
            file.execute(TABLE)
            if is_new:
                self.path.chmod(FILE)
            now = int(self.clock())
            reserved = {key for key in keys if file.execute(RESERVE, (key, now)).rowcount}
            if time.monotonic() >= self._next_prune:
                file.execute(PRUNE, (now - self.remember,))
                self._next_prune = time.monotonic() + PRUNE_SECONDS
            file.execute("COMMIT")
        return reserved

    def _begin_anew(self) -> bool:
        """Rename a file that is no longer a database; return whether that worked."""
        logger.warning(
            "%s was damaged and has been created again: schedules that are due now may run a second time", self.path
        )
        try:
            self.path.replace(self.path.with_suffix(".damaged"))
        except OSError:
            return False
        return True

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "%s cannot be used (%s), so that schedules run once in each process that has a scheduler. Let this "
                "process write there, or name another folder in OPTIONS['spool']",
                self.path,
                error,
            )
