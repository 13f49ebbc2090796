"""The folders in which the code of a project is."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest

from django_loco.process.reloading.code_folders import code_folders


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Return a function that makes files, and returns the folders that are found in ``tmp_path``, by their names."""

    def find(*files: str) -> set[str]:
        for name in files:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        monkeypatch.setattr(sys, "path", [str(tmp_path), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")])
        return {str(folder.relative_to(tmp_path)) for folder in code_folders()}

    return find


def test_packages_beside_the_apps_are_found_with_those_in_them(found):
    assert found("manage.py", "lib/__init__.py", "lib/mail/smtp.py") == {".", "lib", "lib/mail"}


@pytest.mark.parametrize(
    "file",
    [
        "media/2026/photo.jpg",
        ".git/hooks/hook.py",
        "node_modules/package/build.py",
        "venv/lib/python3.11/site-packages/django/__init__.py",
        "lib/__pycache__/mail.pyc",
        "lib/my-scripts/run.py",
    ],
)
def test_what_cannot_be_imported_is_left_out(found, file):
    assert found("lib/__init__.py", file) == {".", "lib"}


def test_a_virtual_environment_with_scripts_is_left_out(found):
    assert found("env/pyvenv.cfg", "env/script.py", "env/lib/module.py") == {"."}


def test_a_folder_without_code_is_the_only_one(found):
    assert found() == {"."}


def test_each_folder_of_the_search_path_is_looked_at(tmp_path, monkeypatch):
    folders = {tmp_path / "site", tmp_path / "apps"}
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(sys, "path", [*map(str, folders), str(tmp_path / "missing"), str(Path(sys.executable))])
    assert folders <= set(code_folders())
