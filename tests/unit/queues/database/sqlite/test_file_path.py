"""The file of a SQLite database, whose name may be a URI."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from django_loco.queues.database.sqlite.file_path import file_of


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("db.sqlite3", "db.sqlite3"),
        (Path("/srv/db.sqlite3"), "/srv/db.sqlite3"),
        ("/srv/50%25?#.sqlite3", "/srv/50%25?#.sqlite3"),
        ("file:db.sqlite3", "db.sqlite3"),
        ("file:/srv/db.sqlite3?mode=rw", "/srv/db.sqlite3"),
        ("file:///srv/a%20b.sqlite3?mode=rw&cache=private#top", "/srv/a b.sqlite3"),
        ("file://localhost/srv/db.sqlite3", "/srv/db.sqlite3"),
    ],
)
def test_a_path_or_a_uri(name, path):
    assert file_of(SimpleNamespace(settings_dict={"NAME": name})) == Path(path)
