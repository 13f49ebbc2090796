"""The streams of this process, all together."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from django_loco.log.output import nonblocking_stream, streams
from django_loco.log.output.streams import is_standard, nonblocking


@pytest.fixture
def file(tmp_path: Path) -> Iterator[IO[str]]:
    with (tmp_path / "log").open("w+") as file:
        yield file


def test_a_stream_in_memory_is_left_as_it_is():
    stream = io.StringIO()
    assert nonblocking(stream) is stream


def test_a_closed_one_is_left_as_it_is_too(file):
    file.close()
    assert nonblocking(file) is file


def test_there_is_one_for_each_stream(file):
    stream = nonblocking(file)
    assert nonblocking(file) is stream
    assert nonblocking(stream) is stream


def test_a_standard_stream_is_known_in_both_forms(file, monkeypatch):
    assert not is_standard(file)
    monkeypatch.setattr("sys.stderr", file)
    assert is_standard(file)
    assert is_standard(nonblocking(file))


@pytest.mark.parametrize("end", [streams.write_at_once, streams.drain])
def test_once_the_process_stops_each_line_is_written_at_once(file, monkeypatch, end):
    """Some servers end it by a signal, after which nothing more is written."""
    monkeypatch.setattr(nonblocking_stream, "BLOCK_SECONDS", 1000.0)
    stream = nonblocking(file)
    stream.gather()
    stream.write("stop 1\n")
    stream.write("stop 2\n")
    end()
    stream.write("stop 3\n")
    file.seek(0)
    assert file.read() == "stop 1\nstop 2\nstop 3\n"


def test_dropped_lines_of_all_streams_are_counted(file):
    stream = nonblocking(file)
    before = streams.health()["dropped"]
    stream.dropped += 2
    assert streams.health()["dropped"] == before + 2
