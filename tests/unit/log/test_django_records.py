"""Who gets Django's records about jobs."""

from __future__ import annotations

import io
import logging
import logging.handlers
import queue
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from _pytest.logging import LogCaptureHandler

from django_loco.core.compat import TASKS_LOGGER
from django_loco.core.threads import DaemonThread
from django_loco.log import django_records
from django_loco.log.output.bounded import HandlerThread


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """The logger of the Tasks framework, without handlers above it. Those of pytest do not count."""
    monkeypatch.setattr(django_records, "_is_forced", False)
    monkeypatch.setattr(django_records, "_NOT_MEANT", (*django_records._NOT_MEANT, LogCaptureHandler))
    logger = logging.getLogger(TASKS_LOGGER)
    before = logger.level, logger.propagate, logger.handlers[:]
    logger.setLevel(logging.INFO)
    logger.propagate, logger.handlers[:] = False, []
    yield logger
    logger.setLevel(before[0])
    logger.propagate, logger.handlers[:] = before[1:]


def add(logger: logging.Logger, handler: logging.Handler, level: int = logging.NOTSET) -> logging.Handler:
    handler.setLevel(level)
    logger.addHandler(handler)
    return handler


def heard_and_seen() -> tuple[bool, bool]:
    return django_records.hears_tasks(), django_records.sees_tasks()


def test_nobody_is_there(tasks):
    assert heard_and_seen() == (False, False)


def test_a_handler_elsewhere_hears_of_them_and_the_console_shows_its_own(tasks):
    add(tasks, logging.StreamHandler(io.StringIO()))
    assert heard_and_seen() == (True, False)


def test_a_handler_on_the_console_shows_them_in_place_of_ours(tasks):
    add(tasks, logging.StreamHandler(sys.stderr))
    assert heard_and_seen() == (True, True)


def test_a_handler_of_a_logger_further_up_counts(tasks):
    tasks.propagate = True
    handler = add(logging.getLogger(), logging.StreamHandler(io.StringIO()))
    heard = django_records.hears_tasks()
    logging.getLogger().removeHandler(handler)
    assert heard


def test_so_does_that_of_pytest(tasks, caplog, monkeypatch):
    tasks.propagate = True
    monkeypatch.undo()
    monkeypatch.setattr(django_records, "_is_forced", False)
    assert django_records.hears_tasks()


def test_a_handler_that_is_ours_or_takes_errors_only_does_not_count(tasks):
    add(tasks, django_records.OwnHandler(sys.stderr))
    add(tasks, logging.NullHandler())
    add(tasks, logging.StreamHandler(sys.stderr), logging.ERROR)
    assert heard_and_seen() == (False, False)


def test_nor_does_one_whose_filter_refuses_them(tasks):
    add(tasks, logging.StreamHandler(sys.stderr)).addFilter(django_records.refuse_tasks)
    assert heard_and_seen() == (False, False)


def test_a_filter_that_may_have_a_state_is_not_asked_without_a_record(tasks):
    def refuse(record: logging.LogRecord) -> bool:
        raise NotImplementedError

    add(tasks, logging.StreamHandler(sys.stderr)).addFilter(refuse)
    assert heard_and_seen() == (True, True)


@pytest.mark.parametrize(("name", "expected"), [(TASKS_LOGGER, True), ("shop", False)])
def test_a_filter_of_python_is_asked(tasks, name, expected):
    add(tasks, logging.StreamHandler(sys.stderr)).addFilter(logging.Filter(name))
    assert heard_and_seen() == (expected, expected)


class Emitting(logging.Handler):
    """A handler of a class that is not known."""

    def __init__(self, **attributes: object) -> None:
        super().__init__()
        vars(self).update(attributes)


def test_a_handler_of_an_unknown_class_hears_of_them_and_is_not_on_the_console(tasks):
    add(tasks, Emitting())
    assert heard_and_seen() == (True, False)


@pytest.mark.parametrize("place", ["stderr", "memory"])
def test_a_handler_of_rich_is_on_the_console_if_its_file_is(tasks, place):
    add(tasks, Emitting(console=SimpleNamespace(file=sys.stderr if place == "stderr" else io.StringIO())))
    assert heard_and_seen() == (True, place == "stderr")


@pytest.mark.parametrize("place", ["stderr", "memory"])
@pytest.mark.parametrize("kind", ["queue", "memory"])
def test_a_handler_is_on_the_console_if_it_gives_its_records_to_one_that_is(tasks, kind, place):
    """As a handler with a queue does, which names its listener from Python 3.12 on."""
    last = logging.StreamHandler(sys.stderr if place == "stderr" else io.StringIO())
    if kind == "memory":
        first: logging.Handler = logging.handlers.MemoryHandler(1, target=last)
    else:
        first = logging.handlers.QueueHandler(queue.Queue())
        first.listener = logging.handlers.QueueListener(first.queue, last)  # type: ignore[attr-defined]
    add(tasks, first)
    assert heard_and_seen() == (True, place == "stderr")
    first.close()


def test_nobody_gets_a_record_only_because_it_was_asked(tasks):
    """Its thread would deliver it."""
    handler = add(tasks, logging.StreamHandler(io.StringIO()))
    thread = HandlerThread(handler)
    handler.addFilter(thread)
    heard: list[bool] = []
    asking = DaemonThread(target=lambda: heard.append(django_records.hears_tasks()))
    asking.start()
    asking.join()
    assert heard == [True]
    assert thread._records.empty()


def test_a_level_that_the_project_has_set_decides(tasks):
    add(tasks, logging.StreamHandler(sys.stderr))
    tasks.setLevel(logging.WARNING)
    assert heard_and_seen() == (False, False)
    assert django_records.is_silenced()


def test_handlers_of_a_project_that_shows_warnings_only_are_left_alone(tasks):
    """The console lets INFO pass for its own handlers, not for theirs."""
    tasks.setLevel(logging.NOTSET)
    tasks.propagate = True
    above = [logging.getLogger(), logging.getLogger("django")]  # the latter is the parent on Django 6
    before = [logger.level for logger in above]
    above[0].setLevel(logging.WARNING)
    above[1].setLevel(logging.NOTSET)
    django_records.force_level(tasks)
    for logger, level in zip(above, before, strict=True):
        logger.setLevel(level)
    assert tasks.level == logging.INFO
    assert heard_and_seen() == (False, False)


def test_a_tool_that_listens_to_all_of_logging_hears_of_them(tasks, monkeypatch):
    """As the SDK of Sentry does, whose breadcrumbs these records are."""

    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        raise NotImplementedError

    monkeypatch.setattr(logging.Logger, "callHandlers", call_handlers)
    assert heard_and_seen() == (True, False)


def test_failures_are_refused_by_nobody():
    records = [
        logging.LogRecord(name, level, __file__, 1, "", (), None)
        for name, level in (
            (TASKS_LOGGER, logging.INFO),
            (TASKS_LOGGER, logging.ERROR),
            ("shop", logging.INFO),
        )
    ]
    assert [django_records.refuse_tasks(record) for record in records] == [False, True, True]
