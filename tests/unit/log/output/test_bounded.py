"""Lines of threads that must get on: handlers that block hold them up once, and for a moment."""

from __future__ import annotations

import io
import logging
import logging.handlers
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from django.utils.log import AdminEmailHandler

from django_loco.core.threads import DaemonThread
from django_loco.log import safe
from django_loco.log.labels import LabelFilter, bind, unbind
from django_loco.log.output import bounded as bounded_log
from django_loco.log.output.bounded import BoundedLogger, Deliveries, HandlerThread
from django_loco.log.safe import get_logger

from ...worker.support import wait_until

SECONDS = 10.0


class Gate(logging.Handler):
    """A handler that blocks until its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.addFilter(LabelFilter())
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.gate.wait(SECONDS)
        self.records.append(record)


@pytest.fixture
def deliveries(monkeypatch) -> Deliveries:
    deliveries = Deliveries(timeout=0.05, limit=3)
    monkeypatch.setattr(bounded_log, "_deliveries", deliveries)
    return deliveries


@pytest.fixture
def gate(deliveries) -> Iterator[Gate]:
    gate = Gate()
    logging.getLogger("django_loco").addHandler(gate)
    yield gate
    gate.gate.set()
    logging.getLogger("django_loco").removeHandler(gate)


@pytest.fixture
def open_gate(gate, deliveries) -> Gate:
    """A handler that does not block; a busy machine may take long to call it."""
    gate.gate.set()
    deliveries._timeout = SECONDS
    return gate


logger = BoundedLogger(logging.getLogger("django_loco.worker.example"))


def test_a_line_is_there_when_the_call_returns(open_gate):
    token = bind(component="feed")
    logger.warning("%d of %d", 1, 2)
    unbind(token)
    (record,) = open_gate.records
    assert record.getMessage() == "1 of 2"
    assert (record.funcName, record.levelname) == ("test_a_line_is_there_when_the_call_returns", "WARNING")
    assert record.threadName == threading.current_thread().name
    assert record.__dict__["component"] == "feed"


def test_an_exception_is_told_with_its_traceback(open_gate):
    try:
        raise ValueError("no")
    except ValueError:
        logger.exception("It failed")
    assert open_gate.records[0].exc_info is not None
    assert open_gate.records[0].exc_info[0] is ValueError


def test_levels_are_respected(open_gate, caplog):
    with caplog.at_level(logging.ERROR, "django_loco.worker.example"):
        logger.info("no")
        logger.warning("no")
        logger.error("yes")
    assert [record.getMessage() for record in open_gate.records] == ["yes"]


def test_a_handler_that_blocks_holds_up_the_first_line_alone(gate):
    began = time.monotonic()
    for number in range(100):
        logger.warning("line %d", number)
    assert time.monotonic() - began < 50 * bounded_log.TIMEOUT_SECONDS
    gate.gate.set()
    wait_until(lambda: any("Dropped" in record.getMessage() for record in gate.records))
    told = [record.getMessage() for record in gate.records]
    assert told[:2] == ["line 0", "line 1"]
    assert told[-1] == f"Dropped {101 - len(told)} log lines that could not be written"


def test_a_handler_that_raises_does_not_end_it(gate, deliveries, monkeypatch):
    def emit(record: logging.LogRecord) -> None:
        raise ValueError("no")

    gate.gate.set()
    monkeypatch.setattr(gate, "emit", emit)
    logger.warning("one")
    monkeypatch.undo()
    monkeypatch.setattr(bounded_log, "_deliveries", deliveries)
    logger.warning("two")
    assert [record.getMessage() for record in gate.records] == ["two"]


# Handlers in threads of their own


@pytest.fixture
def threaded(gate, monkeypatch) -> Iterator[HandlerThread]:
    """The thread of the gate, which two records fit into."""
    monkeypatch.setattr(bounded_log, "FULL_SECONDS", 0.05)
    thread = HandlerThread(gate, limit=2)
    gate.addFilter(thread)
    yield thread
    gate.removeFilter(thread)


def in_job(action: Callable[[], object]) -> None:
    """Call ``action`` in a thread of django-loco."""
    thread = DaemonThread(target=action)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive()


safe_logger = get_logger("django_loco.worker.example")


def test_a_job_does_not_wait_for_a_handler_that_blocks_and_is_told_once(gate, threaded, capsys):
    def log() -> None:
        for number in range(8):
            safe_logger.warning("line %d", number)

    in_job(log)
    assert gate.records == []
    [shown] = capsys.readouterr().err.splitlines()
    assert shown.startswith(f"The log handler {gate!r} blocks. Jobs go on")
    gate.gate.set()
    wait_until(lambda: "did not take" in capsys.readouterr().err)
    in_job(lambda: safe_logger.warning("last"))
    wait_until(lambda: gate.records[-1].getMessage() == "last")
    found = [record.getMessage() for record in gate.records]
    assert found[:3] == ["line 0", "line 1", "line 2"]


def test_a_handler_that_is_slow_loses_nothing(gate, threaded, monkeypatch):
    monkeypatch.setattr(bounded_log, "FULL_SECONDS", SECONDS)
    gate.emit = lambda record: (time.sleep(0.005), gate.records.append(record))  # type: ignore[method-assign]
    in_job(lambda: [safe_logger.warning("line %d", number) for number in range(20)])
    bounded_log.drain()
    assert [record.getMessage() for record in gate.records] == [f"line {number}" for number in range(20)]
    assert threaded.dropped == 0


def test_the_handler_finds_the_labels_of_the_job(gate, threaded):
    gate.gate.set()

    def log() -> None:
        bind(component="feed")
        safe_logger.warning("hello")

    in_job(log)
    wait_until(lambda: gate.records)
    assert gate.records[0].component == "feed"


def test_other_threads_call_the_handler_themselves(gate, threaded):
    gate.gate.set()
    safe_logger.warning("hello")
    assert [record.getMessage() for record in gate.records] == ["hello"]


@pytest.mark.parametrize("kind", [ValueError, SystemExit])
def test_what_the_handler_raises_is_shown_once_and_ends_nothing(gate, threaded, capsys, monkeypatch, kind):
    def fail(record: logging.LogRecord) -> None:
        raise kind("the project's own")

    monkeypatch.setattr(safe, "_shown", set())
    monkeypatch.setattr(gate, "emit", fail)
    in_job(lambda: [safe_logger.warning("hello") for _ in range(5)])
    bounded_log.drain()
    assert capsys.readouterr().err.count(f"{kind.__name__}: the project's own") == 1
    monkeypatch.undo()
    gate.gate.set()
    in_job(lambda: safe_logger.warning("again"))
    wait_until(lambda: gate.records)


def test_only_handlers_that_may_block_get_a_thread(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    handlers = {
        "custom": Gate(),
        "mail": AdminEmailHandler(),
        "pipe": logging.FileHandler(tmp_path / "pipe", delay=True),
        "file": logging.FileHandler(tmp_path / "file", delay=True),
        "memory": logging.StreamHandler(io.StringIO()),
        "nowhere": logging.NullHandler(),
        "queue": logging.handlers.QueueHandler(queue.SimpleQueue()),
    }
    for _ in range(2):
        bounded_log.use_threads(handlers.values())
    threads = {
        name: sum(isinstance(each, HandlerThread) for each in handler.filters) for name, handler in handlers.items()
    }
    assert {name for name, count in threads.items() if count == 1} == {"custom", "mail", "pipe"}
    assert sum(threads.values()) == 3


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_copy_delivers_no_records_of_its_original(gate, threaded):
    in_job(lambda: safe_logger.warning("hello"))
    child = os.fork()
    if child == 0:
        os._exit(threaded._records.qsize() + (threaded._thread is not None))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    gate.gate.set()
    wait_until(lambda: gate.records)
