"""Loggers that do not raise, and that there are no others in the package."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import django_loco
from django_loco.exceptions import RAISED_INTO_JOBS
from django_loco.log import safe as safe_logging
from django_loco.log.output.bounded import BoundedLogger
from django_loco.log.safe import SafeLogger, get_logger

logger = get_logger("tests.safe_logging")


class Raising(logging.Filter):
    def __init__(self, kind: type[BaseException]) -> None:
        super().__init__()
        self.kind = kind
        self.records: list[logging.LogRecord] = []

    def filter(self, record: logging.LogRecord) -> bool:
        self.records.append(record)
        raise self.kind("a filter of the project")


@pytest.fixture
def raising(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Raising]:
    monkeypatch.setattr(safe_logging, "_shown", set())
    found = Raising(getattr(request, "param", RuntimeError))
    logger.logger.addFilter(found)
    yield found
    logger.logger.removeFilter(found)


def modules() -> list[Any]:
    names = [name for _, name, _ in pkgutil.walk_packages(django_loco.__path__, "django_loco.")]
    return [importlib.import_module(name) for name in names if ".migrations" not in name]


def test_all_loggers_of_the_package_are_of_this_kind():
    loggers = [vars(module)["logger"] for module in modules() if "logger" in vars(module)]
    assert len(loggers) > 40
    assert {type(one) for one in loggers} == {SafeLogger, BoundedLogger}


@pytest.mark.parametrize("raising", [RuntimeError, SystemExit, GeneratorExit], indirect=True)
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "exception", "critical"])
def test_what_a_filter_raises_does_not_come_through(raising, level, caplog):
    caplog.set_level(logging.DEBUG)
    getattr(logger, level)("hello %s", "there")
    [record] = raising.records
    assert record.getMessage() == "hello there"


def test_it_is_shown_once(raising, capsys):
    for _ in range(3):
        logger.warning("hello")
    shown = capsys.readouterr().err
    assert shown.count("A log line of tests.safe_logging was dropped:\n") == 1
    assert shown.count("RuntimeError: a filter of the project") == 1
    assert len(raising.records) == 3


def test_nor_does_it_come_from_there(raising, monkeypatch):
    class Closed:
        def write(self, text: str) -> None:
            raise OSError("nobody reads this")

    monkeypatch.setattr(sys, "stderr", Closed())
    logger.warning("hello")
    monkeypatch.setattr(sys, "stderr", None)
    logger.warning("hello")


@pytest.mark.parametrize("raising", [*RAISED_INTO_JOBS, KeyboardInterrupt], indirect=True)
def test_what_is_not_meant_for_the_log_comes_through(raising):
    with pytest.raises(raising.kind):
        logger.warning("hello")


@pytest.mark.parametrize("interruption", RAISED_INTO_JOBS)
def test_an_interruption_comes_through_while_trouble_is_shown(monkeypatch, interruption):
    class Interrupted:
        def write(self, text: str) -> None:
            raise interruption

    monkeypatch.setattr(sys, "stderr", Interrupted())
    with pytest.raises(interruption):
        safe_logging.show("A line was dropped")


@pytest.mark.parametrize("raising", [KeyboardInterrupt], indirect=True)
def test_in_another_thread_nothing_is_meant_for_the_user(raising):
    ended: list[bool] = []

    def log() -> None:
        logger.warning("hello")
        ended.append(True)

    thread = threading.Thread(target=log)
    thread.start()
    thread.join()
    assert ended == [True]


def test_a_line_comes_from_where_it_is_logged_and_has_the_exception(caplog):
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logger.exception("failed")
    logger.log(logging.ERROR, "also", extra={"order": 7})
    failed, also = caplog.records
    assert {record.pathname for record in caplog.records} == {__file__}
    assert {record.funcName for record in caplog.records} == {
        "test_a_line_comes_from_where_it_is_logged_and_has_the_exception"
    }
    assert failed.exc_info[0] is ZeroDivisionError
    assert also.order == 7
