"""Lines of threads that must get on: handlers that block hold them up once, and for a moment."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from django_loco.log import bounded as bounded_log
from django_loco.log.bounded import BoundedLogger, Deliveries
from django_loco.log.labels import LabelFilter, bind, unbind

from ..worker.support import wait_until

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


logger = BoundedLogger(logging.getLogger("django_loco.worker.example"))


def test_a_line_is_there_when_the_call_returns(gate):
    gate.gate.set()
    token = bind(component="feed")
    logger.warning("%d of %d", 1, 2)
    unbind(token)
    (record,) = gate.records
    assert record.getMessage() == "1 of 2"
    assert (record.funcName, record.levelname) == ("test_a_line_is_there_when_the_call_returns", "WARNING")
    assert record.threadName == threading.current_thread().name
    assert record.__dict__["component"] == "feed"


def test_an_exception_is_told_with_its_traceback(gate):
    gate.gate.set()
    try:
        raise ValueError("no")
    except ValueError:
        logger.exception("It failed")
    assert gate.records[0].exc_info is not None
    assert gate.records[0].exc_info[0] is ValueError


def test_levels_are_respected(gate, caplog):
    gate.gate.set()
    with caplog.at_level(logging.ERROR, "django_loco.worker.example"):
        logger.info("no")
        logger.warning("no")
        logger.error("yes")
    assert [record.getMessage() for record in gate.records] == ["yes"]


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
