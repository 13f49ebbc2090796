"""A few cells of the matrix, for which no other test has as much in flight. ``make matrix`` runs all of them."""

from __future__ import annotations

import pytest

from .matrix_cells import Trial
from .matrix_rows import ROWS
from .matrix_site import MatrixProject

NAMED = {row.name: row for row in ROWS}


@pytest.mark.parametrize(
    ("row", "event"),
    [
        ("runserver", "TERM"),
        ("gunicorn gthread", "INT INT"),
        ("gunicorn --preload", "HUP"),
        ("uvicorn", "INT"),
        ("loco_worker --processes 2", "kill -9"),
    ],
)
def test_nothing_is_lost_or_cut(tmp_path, migrated_file, row, event):
    with MatrixProject(tmp_path, migrated_file) as project:
        assert Trial(NAMED[row], event, project).run().wrong == ()
