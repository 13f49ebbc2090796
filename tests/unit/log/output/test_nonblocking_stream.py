"""Streams that hold nobody up, whoever reads them."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from django_loco.exceptions import RAISED_INTO_JOBS
from django_loco.log.output import nonblocking_stream
from django_loco.log.output.nonblocking_stream import MAX_KEPT_BYTES, NonBlockingStream

from ...worker.support import wait_until

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

    def close(self) -> None:
        """Drop the lines that nobody has read: otherwise a thread goes on writing them during the next tests."""
        os.close(self.reader)
        self.stream.drain(SECONDS)
        self.file.close()


@pytest.fixture(params=["pipe", "sockets"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    ends = Ends(request.param)
    yield ends
    ends.close()


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
    wait_until(lambda: f"Dropped {dropped:,} log lines" in caplog.text)
    ends.stream.write("again\n")
    assert ends.read(1) == ["again"]


@pytest.mark.slow
def test_it_is_blocked_when_nobody_has_read_for_a_moment(ends, monkeypatch):
    assert not ends.stream.is_blocked
    monkeypatch.setattr(nonblocking_stream, "BLOCKED_AFTER_SECONDS", 60)
    ends.fill()
    assert not ends.stream.is_blocked
    monkeypatch.setattr(nonblocking_stream, "BLOCKED_AFTER_SECONDS", 0)
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
    monkeypatch.setattr(nonblocking_stream, "BLOCKED_AFTER_SECONDS", -1)
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
        wait_until(lambda: "Dropped 1 log line " in caplog.text)
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


def test_who_logs_in_the_middle_of_a_write_does_not_wait_for_itself(ends, monkeypatch):
    """The garbage collector and signal handlers run anywhere, and what they run may log."""
    write = os.write
    nested = iter(["two\n"])

    def collect_garbage_and_write(descriptor: int, data: bytes) -> int:
        written = write(descriptor, data[:2])
        for line in nested:
            ends.stream.write(line)
        return written

    monkeypatch.setattr(nonblocking_stream.os, "write", collect_garbage_and_write)
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


# Lines that follow each other closely


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What each write had."""
    found: list[bytes] = []
    write = os.write

    def watched(descriptor: int, data: bytes) -> int:
        found.append(data)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", watched)
    return found


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are gathered for a long time."""
    monkeypatch.setattr(nonblocking_stream, "BLOCK_SECONDS", 1000.0)


def test_after_a_pause_a_line_is_written_at_once_and_the_next_ones_together(ends, writes, monkeypatch):
    monkeypatch.setattr(nonblocking_stream, "BLOCK_SECONDS", 0.2)
    ends.stream.gather()
    for line in ("one\n", "two\n", "three\n"):
        ends.stream.write(line)
    assert writes == [b"one\n"]
    assert ends.read(3) == ["one", "two", "three"]
    assert writes == [b"one\n", b"two\nthree\n"]


@pytest.mark.usefixtures("slowly")
def test_an_urgent_line_is_written_at_once_after_those_before_it(ends, writes):
    ends.stream.gather()
    for line in ("one\n", "two\n"):
        ends.stream.write(line)
    ends.stream.flush_next()
    ends.stream.write("error\n")
    ends.stream.write("three\n")
    assert writes == [b"one\n", b"two\nerror\n"]


@pytest.mark.usefixtures("slowly")
def test_only_the_next_line_of_the_same_thread_is_urgent(ends, writes):
    ends.stream.gather()
    ends.stream.write("one\n")
    other = threading.Thread(target=ends.stream.flush_next)
    other.start()
    other.join()
    ends.stream.write("two\n")
    assert writes == [b"one\n"]


@pytest.mark.usefixtures("slowly")
def test_a_line_may_be_made_when_it_is_written(ends):
    ends.stream.gather()
    made: list[int] = []
    ends.stream.write("one\n")
    ends.stream.add(lambda: f"{made.append(1)}\n")
    ends.stream.add(lambda: "")
    ends.stream.write("three\n")
    assert made == []
    ends.stream.drain(SECONDS)
    assert ends.read(3) == ["one", "None", "three"]


def test_a_line_that_cannot_be_made_is_dropped_and_counted(ends):
    def fail() -> str:
        raise ValueError

    ends.stream.add(fail)
    ends.stream.write("two\n")
    assert ends.read(1) == ["two"]
    assert ends.stream.dropped == 1


@pytest.mark.parametrize("interruption", RAISED_INTO_JOBS)
@pytest.mark.parametrize("place", ["the line", "the write"])
def test_an_interruption_of_a_job_that_writes_a_line_comes_through(ends, monkeypatch, place, interruption):
    def interrupt(*args: object) -> str:
        raise interruption

    if place == "the line":
        line = interrupt
    else:
        line = "one\n"
        monkeypatch.setattr(os, "write", interrupt)
    with pytest.raises(interruption):
        ends.stream.add(line)
    monkeypatch.undo()
    ends.stream.write("two\n")
    assert ends.read(1) == ["two"]


@pytest.mark.usefixtures("slowly")
def test_a_block_for_a_pipe_is_small_enough_not_to_mix_with_those_of_other_processes(writes):
    ends = Ends("pipe")
    ends.stream.gather()
    ends.stream.write("first\n")
    count = 200
    for number in range(count):
        ends.stream.write(f"{number:<99}\n")
    ends.stream.drain(SECONDS)
    assert [int(line) for line in ends.read(count + 1)[1:]] == list(range(count))
    assert max(map(len, writes)) <= nonblocking_stream.PIPE_BYTES
    assert all(block.endswith(b"\n") for block in writes)
    assert len(writes) == 1 + -(-count // (nonblocking_stream.PIPE_BYTES // 100))
    ends.file.close()
    os.close(ends.reader)


@pytest.mark.usefixtures("slowly")
def test_the_end_of_the_process_writes_what_was_gathered_and_then_each_line(ends, writes):
    ends.stream.gather()
    ends.stream.write("one\n")
    ends.stream.write("two\n")
    ends.stream.drain(SECONDS)
    ends.stream.write("three\n")
    assert writes == [b"one\n", b"two\n", b"three\n"]


def test_without_a_thread_each_line_is_written_at_once(ends, writes, monkeypatch):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ends.stream.gather()
    monkeypatch.setattr(nonblocking_stream.DaemonThread, "start", refuse)
    ends.stream.write("one\n")
    ends.stream.write("two\n")
    assert writes == [b"one\n", b"two\n"]


@pytest.mark.parametrize("when", ["in time", "at the end"])
def test_a_scheduled_line_comes_when_it_is_due_or_at_the_end(ends, when):
    ends.stream.schedule_line(time.monotonic() + (0.01 if when == "in time" else 1000), lambda: "now\n")
    if when == "at the end":
        ends.stream.drain(SECONDS)
    assert ends.read(1) == ["now"]


@pytest.mark.usefixtures("slowly")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_copy_writes_each_line_at_once_and_not_those_of_its_original(ends):
    """It may end without notice, as the children of ``multiprocessing`` do."""
    ends.stream.gather()
    ends.stream.write("one\n")
    ends.stream.write("two\n")
    child = os.fork()
    if child == 0:
        ends.stream.write("child 1\n")
        ends.stream.write("child 2\n")
        os._exit(0)
    os.waitpid(child, 0)
    assert ends.read(3) == ["one", "child 1", "child 2"]
    ends.stream.drain(SECONDS)
    assert ends.read(1) == ["two"]


@pytest.mark.usefixtures("slowly")
def test_while_one_thread_writes_the_others_go_on_and_it_writes_their_lines(ends, monkeypatch):
    write = os.write
    begun, go_on = threading.Event(), threading.Event()

    def slow(descriptor: int, data: bytes) -> int:
        begun.set()
        assert go_on.wait(SECONDS)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", slow)
    writer = threading.Thread(target=ends.stream.write, args=("one\n",))
    writer.start()
    assert begun.wait(SECONDS)
    ends.stream.flush_next()
    ends.stream.write("two\n")
    go_on.set()
    writer.join(SECONDS)
    assert ends.read(2) == ["one", "two"]


def test_a_line_that_a_full_disk_has_cut_does_not_take_the_next_one_along(tmp_path, monkeypatch):
    with (tmp_path / "log").open("w") as file:
        stream = NonBlockingStream(file)
        write, calls = os.write, iter(["part", "full"])

        def fill_up(descriptor: int, data: bytes) -> int:
            match next(calls, "room"):
                case "part":
                    return write(descriptor, data[:5])
                case "full":
                    raise OSError(28, "No space left on device")
            return write(descriptor, data)

        monkeypatch.setattr(os, "write", fill_up)
        stream.write("one\n")
        stream.write("two three\n")
        stream.write("four\n")
    assert (tmp_path / "log").read_text().splitlines()[-1] == "four"


def test_many_threads_lose_no_line_and_each_keeps_its_order(monkeypatch):
    monkeypatch.setattr(nonblocking_stream, "BLOCK_SECONDS", 0.001)
    ends = Ends("pipe")
    ends.stream.gather()
    threads, count = 8, 500

    def log(number: int) -> None:
        for line in range(count):
            ends.stream.write(f"{number} {line}\n")

    writers = [threading.Thread(target=log, args=(number,)) for number in range(threads)]
    for writer in writers:
        writer.start()
    found = [line.split() for line in ends.read(threads * count)]
    assert {number: [int(line) for one, line in found if one == str(number)] for number in range(threads)} == {
        number: list(range(count)) for number in range(threads)
    }
    for writer in writers:
        writer.join(SECONDS)
    ends.file.close()
    os.close(ends.reader)
