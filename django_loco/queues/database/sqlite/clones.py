"""Clones test databases for ``manage.py test --parallel``: Django copies their files, without the WAL beside them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any


def clone_whole(connection: Any) -> None:
    """Let Django's clones of the test database of ``connection`` include the contents of its WAL."""
    connection.creation.clone_test_db = partial(_clone_test_db, connection.creation)


def _clone_test_db(creation: Any, suffix: str, *args: Any, keepdb: bool = False, **kwargs: Any) -> None:
    with creation.connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    clone = creation.get_test_db_clone_settings(suffix)["NAME"]
    if not (keepdb and Path(clone).exists()):
        Path(f"{clone}-wal").unlink(missing_ok=True)  # SQLite would apply a WAL of killed tests
    type(creation).clone_test_db(creation, suffix, *args, keepdb=keepdb, **kwargs)
