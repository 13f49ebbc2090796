"""Streams that hold nobody up, whoever reads them."""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from django_loco.log import streams
from django_loco.log.streams import MAX_KEPT_BYTES, NonBlockingStream, nonblocking

from ..worker.support import wait_until

SECONDS = 10.0


class Ends:
    """The two ends of a pipe, or of a pair of sockets, as systemd gives them to a service."""

    def __init__(self, kind: str) -> None:
        if kind == "pipe":
            self.reader, writer = os.pipe()
        else:
            reading, writing = socket.socketpair()
            self.reader, writer = reading.detach(), writing.detach()
        self.file = os.fdopen(writer, "w")
        self.stream = NonBlockingStream(self.file)

    def read(self, lines: int) -> list[str]:
        text = b""
        while text.count(b"\n") < lines:
            text += os.read(self.reader, 1 << 16)
        return text.decode().splitlines()

    def fill(self, size: int = MAX_KEPT_BYTES) -> int:
        """Write numbered lines of ``size`` bytes in all; return how many."""
        count = size // 100
        for number in range(count):
            self.stream.write(f"{number:<99}\n")
        return count


@pytest.fixture(params=["pipe", "sockets"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    ends = Ends(request.param)
    yield ends
    ends.file.close()
    os.close(ends.reader)


def test_what_is_written_arrives(ends):
    assert ends.stream.write("one\n") == 4
    ends.stream.flush()
    assert ends.read(1) == ["one"]


@pytest.mark.slow
def test_what_is_not_read_at_once_arrives_later_and_in_order(ends):
    count = ends.fill(MAX_KEPT_BYTES)
    ends.stream.write("last\n")
    found = ends.read(count + 1)
    assert [int(line) for line in found[:-1]] == list(range(count))
    assert found[-1] == "last"
    assert ends.stream.dropped == 0


def test_what_is_too_much_is_dropped_and_counted(ends, caplog):
    count = ends.fill(3 * MAX_KEPT_BYTES)
    dropped = ends.stream.dropped
    assert 0 < dropped < count
    assert len(ends.read(count - dropped)) == count - dropped
    wait_until(lambda: f"Dropped {dropped} log lines" in caplog.text)
    ends.stream.write("again\n")
    assert ends.read(1) == ["again"]


@pytest.mark.slow
def test_it_is_blocked_when_nobody_has_read_for_a_moment(ends, monkeypatch):
    assert not ends.stream.is_blocked
    ends.fill()
    assert not ends.stream.is_blocked
    monkeypatch.setattr(streams, "BLOCKED_AFTER_SECONDS", 0)
    assert ends.stream.is_blocked
    ends.read(MAX_KEPT_BYTES // 100)
    wait_until(lambda: not ends.stream.is_blocked)


def test_a_pipe_that_others_have_filled_is_blocked_too(monkeypatch):
    """As for the parent of several processes, which hardly ever logs."""
    ends = Ends("pipe")
    os.set_blocking(ends.file.fileno(), False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(ends.file.fileno(), b"x" * 4096)
    monkeypatch.setattr(streams, "BLOCKED_AFTER_SECONDS", -1)
    assert ends.stream.is_blocked
    ends.file.close()
    os.close(ends.reader)


def test_a_reader_that_is_gone_raises_nothing():
    ends = Ends("pipe")
    os.close(ends.reader)
    ends.stream.write("one\n")
    ends.stream.write("two\n")
    assert ends.stream.dropped == 2
    ends.file.close()


def test_a_disk_that_was_full_is_told_of_when_it_is_not(caplog, monkeypatch):
    with open("/dev/full", "w") as file:  # noqa: PTH123 - a device
        stream = NonBlockingStream(file)
        stream.write("one\n")
        assert stream.dropped == 1
        monkeypatch.setattr(stream, "_descriptor", os.open(os.devnull, os.O_WRONLY))
        stream.write("two\n")
        wait_until(lambda: "Dropped 1 log lines" in caplog.text)
        os.close(stream._descriptor)


def test_the_last_lines_have_a_moment_to_get_out(ends):
    count = ends.fill()
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(ends.read(count)))
    reader.start()
    ends.stream.drain(SECONDS)
    reader.join(SECONDS)
    assert len(found) == count


def test_a_drain_of_what_nobody_reads_ends(ends):
    ends.fill()
    ends.stream.drain(0.05)


def test_a_file_has_one_place_to_write_to(tmp_path):
    with (tmp_path / "log").open("w", buffering=1) as file:
        stream = NonBlockingStream(file)
        for number in range(3):
            stream.write(f"{number}\n")
            file.write("else\n")
        assert (tmp_path / "log").read_text() == "0\nelse\n1\nelse\n2\nelse\n"


def test_a_stream_in_memory_is_left_as_it_is():
    stream = io.StringIO()
    assert nonblocking(stream) is stream


def test_there_is_one_for_each_stream(ends):
    assert nonblocking(ends.file) is ends.stream
    assert nonblocking(ends.stream) is ends.stream


def test_who_logs_in_the_middle_of_a_write_does_not_wait_for_itself(ends, monkeypatch):
    """The garbage collector and signal handlers run anywhere, and what they run may log."""
    write = os.write
    nested = iter(["two\n"])

    def collect_garbage_and_write(descriptor: int, data: bytes) -> int:
        written = write(descriptor, data[:2])
        for line in nested:
            ends.stream.write(line)
        return written

    monkeypatch.setattr(streams.os, "write", collect_garbage_and_write)
    writer = threading.Thread(target=ends.stream.write, args=("one\n",), daemon=True)
    writer.start()
    writer.join(SECONDS)
    assert not writer.is_alive()
    assert ends.read(2) == ["one", "two"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_copy_does_not_write_what_its_original_has_kept(ends):
    count = ends.fill()
    child = os.fork()
    if child == 0:
        ends.stream.drain(SECONDS)
        os._exit(0)
    os.waitpid(child, 0)
    ends.stream.write("last\n")
    assert ends.read(count + 1)[-1] == "last"
