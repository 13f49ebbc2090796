"""How a dump is opened, also through a pipe, and what an import says."""

from __future__ import annotations

import io
import os
import sys
import threading

import pytest
from django.core.management.base import CommandError, OutputWrapper

from django_loco.jobs.transfer.dump_lines import header
from django_loco.management.loco_jobs.importing import import_dump

DUMP = f"{header(['default'])}\n".encode()


def said(name: str) -> str:
    out = io.StringIO()
    options = {"file": name, "backend": None, "finished": "keep", "skip_errors": False, "dry_run": False, "yes": True}
    import_dump(options, OutputWrapper(out), OutputWrapper(io.StringIO()))
    return out.getvalue()


def test_a_file(tmp_path):
    path = tmp_path / "jobs.jsonl"
    path.write_bytes(DUMP)
    assert said(str(path)) == "There are no jobs to import.\n"


def test_a_pipe_is_read_twice_as_well(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(DUMP,))
    writer.start()
    assert said(str(path)) == "There are no jobs to import.\n"
    writer.join()


def test_stdin(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DUMP)))
    assert said("-") == "There are no jobs to import.\n"


def test_a_pipe_without_a_folder_for_temporary_files(monkeypatch):
    def no_folder():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", no_folder)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DUMP)))
    with pytest.raises(CommandError, match=r"cannot be copied .*: .*No usable.* Set TMPDIR to a folder .* or name a f"):
        said("-")


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(CommandError, match=r"missing cannot be read: .*No such file"):
        said(str(tmp_path / "missing"))
