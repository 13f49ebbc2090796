"""A project of its own for each acceptance test that wants one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .project import Project
from .servers import ServedProject


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated SQLite database, to be copied by each project."""
    with Project(tmp_path_factory.mktemp("migrated")) as project:
        project.migrate()
        return (project.folder / "db.sqlite3").read_bytes()


@pytest.fixture
def project(tmp_path: Path, migrated_file: bytes) -> Iterator[Project]:
    """A migrated project."""
    with Project(tmp_path) as project:
        (tmp_path / "db.sqlite3").write_bytes(migrated_file)
        yield project


@pytest.fixture
def served(tmp_path: Path, migrated_file: bytes) -> Iterator[ServedProject]:
    """A migrated project, to be served by production servers."""
    with ServedProject(tmp_path) as served:
        (tmp_path / "db.sqlite3").write_bytes(migrated_file)
        yield served
