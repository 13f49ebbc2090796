"""Files that replace others only when they are complete."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from django_loco.management.loco_jobs.dumping import whole_file


def test_a_file_is_there_when_it_is_complete(tmp_path):
    path = tmp_path / "jobs.jsonl"
    with whole_file(path) as file:
        file.write("1\n")
        file.flush()
        assert not path.exists()
    assert path.read_text() == "1\n"
    assert path.stat().st_mode & 0o077 == 0
    assert [*tmp_path.iterdir()] == [path]


def test_after_an_error_the_old_file_is_there_and_no_other(tmp_path):
    path = tmp_path / "jobs.jsonl"
    path.write_text("old")

    def fail() -> None:
        with whole_file(path) as file:
            file.write("1\n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_link_stays_one(tmp_path):
    path, link = tmp_path / "jobs.jsonl", tmp_path / "link"
    link.symlink_to(path)
    with whole_file(link) as file:
        file.write("1\n")
    assert link.is_symlink()
    assert path.read_text() == "1\n"


def test_devices_and_pipes_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path(os.devnull)):
        with pytest.raises(OSError, match="it is not a file"), whole_file(path):
            pass
