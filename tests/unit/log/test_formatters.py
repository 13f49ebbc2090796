"""Formats of log lines, and what they do with errors."""

from __future__ import annotations

import contextvars
import json
import logging
import re
import sys
import time

import pytest
from django.utils.log import DEFAULT_LOGGING, ServerFormatter

from django_loco.core.compat import TASKS_LOGGER
from django_loco.core.threads.bounded_calls import BoundedCalls
from django_loco.exceptions import RAISED_INTO_JOBS
from django_loco.log import redaction
from django_loco.log.formatters import JSONFormatter, LabelFormatter, PlainFormatter
from django_loco.log.labels import FIELDS, bind_duration, unbind

from .conftest import JOB, REQUEST, record


def test_a_formatted_line_of_a_request(request_):
    assert LabelFormatter(PlainFormatter()).format(record()).endswith("] request#5f0c77de hello")
    assert json.loads(JSONFormatter().format(record()))["request_id"] == REQUEST["request_id"]


def test_a_line_of_the_development_server_has_its_request_behind_the_time(request_):
    given = DEFAULT_LOGGING["formatters"]["django.server"]
    server = ServerFormatter(given["format"], style=given["style"])
    line = LabelFormatter(server).format(record("django.server", message='"GET /order HTTP/1.1" 200 16'))
    assert re.fullmatch(r'\[web\] +\[[^]]+\] request#5f0c77de "GET /order HTTP/1.1" 200 16', line)


def test_a_job_of_a_request_has_both_ids_in_json(request_, job):
    fields = json.loads(JSONFormatter().format(record()))
    assert (fields["request_id"], fields["job_id"]) == (REQUEST["request_id"], JOB["job_id"])


def test_a_line_without_a_label_is_the_line_alone():
    assert LabelFormatter(PlainFormatter()).format(record()).endswith("] hello")


def test_the_level_is_shown_from_warning_on():
    assert PlainFormatter().format(record(level=logging.WARNING)).endswith("] WARNING: hello")


def test_a_line_of_a_job_on_the_console(job):
    line = LabelFormatter(PlainFormatter()).format(record(level=logging.ERROR))
    assert line.startswith("[worker]    [")
    assert line.endswith("] send#9f3a01bc/2 ERROR: hello")


def test_a_line_of_a_job_in_a_users_format(job):
    line = LabelFormatter(logging.Formatter("<%(message)s>")).format(record())
    assert line == "[worker]    send#9f3a01bc/2 <hello>"


def test_what_django_says_of_a_task_is_not_said_twice(job):
    entry = logging.LogRecord(
        TASKS_LOGGER, logging.INFO, __file__, 1, "Task id=%s path=%s state=%s", ("id", "path", "SUCCESSFUL"), None
    )
    assert LabelFormatter(PlainFormatter()).format(entry).endswith("] send#9f3a01bc/2 successful")


def test_the_end_of_an_attempt_says_how_long_it_took(job):
    context = contextvars.copy_context()
    context.run(bind_duration, 0.0123400001)
    entry = logging.LogRecord(
        TASKS_LOGGER, logging.INFO, __file__, 1, "Task id=%s path=%s state=%s", ("id", "path", "SUCCESSFUL"), None
    )
    line = context.run(LabelFormatter(PlainFormatter()).format, entry)
    assert line.endswith("] send#9f3a01bc/2 successful after 12 ms")
    assert json.loads(JSONFormatter().format(entry))["duration"] == 0.01234
    assert "duration" not in json.loads(JSONFormatter().format(record()))


@pytest.mark.parametrize("name", [*FIELDS, "label"])
def test_an_attribute_of_the_projects_own_is_kept_and_the_label_is_ours(job, name):
    """As of ``extra={"label": "cat"}``, or of a filter that sets ``request_id``."""
    entry = record()
    setattr(entry, name, "3 weeks")
    line = LabelFormatter(PlainFormatter()).format(entry)
    assert line.startswith("[worker]    [")
    assert line.endswith("] send#9f3a01bc/2 hello")
    assert LabelFormatter(logging.Formatter(f"%({name})s")).format(entry).endswith("send#9f3a01bc/2 3 weeks")
    assert json.loads(JSONFormatter().format(entry)).items() >= JOB.items()
    if name != "label":
        assert entry.__dict__["label"] == "[worker] send#9f3a01bc/2"


def test_a_line_in_json_has_a_request_id_of_the_projects_own(job):
    entry = record()
    entry.request_id = "REQ-42"
    fields = json.loads(JSONFormatter().format(entry))
    assert fields.items() >= (JOB | {"request_id": "REQ-42"}).items()


def fail() -> None:
    raise ValueError("no")


def test_a_traceback_begins_in_the_users_code():
    calls = BoundedCalls()
    entries: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = entries.append  # type: ignore[method-assign]
    logging.getLogger("django_loco.shutdown").addHandler(handler)
    assert calls.wait(calls.start("This", fail), until=lambda: time.monotonic() + 10)
    logging.getLogger("django_loco.shutdown").removeHandler(handler)
    shown = PlainFormatter().format(entries[0])
    assert "in fail" in shown
    assert "calls.py" not in shown
    assert "calls.py" in logging.Formatter().format(entries[0])


def test_a_traceback_of_django_loco_alone_is_whole():
    try:
        unbind(None)  # type: ignore[arg-type]
    except TypeError as error:
        entry = record()
        entry.exc_info = (type(error), error, error.__traceback__.tb_next if error.__traceback__ else None)
    assert "in unbind" in PlainFormatter().format(entry)


def test_a_line_in_json(job):
    try:
        raise ValueError("no")
    except ValueError:
        entry = record()
        entry.exc_info = sys.exc_info()
    line = JSONFormatter().format(entry)
    assert "\n" not in line
    fields = json.loads(line)
    assert fields.pop("exception").endswith("ValueError: no")
    assert fields.pop("time").endswith("+00:00")
    assert fields == {"level": "INFO", "logger": "shop", "message": "hello", **JOB}


def test_a_line_in_json_leaves_out_what_is_not_known():
    assert set(json.loads(JSONFormatter().format(record()))) == {"time", "level", "logger", "message"}


def test_a_line_in_json_that_cannot_be_formatted_is_a_line_all_the_same():
    entry = logging.LogRecord("shop", logging.INFO, __file__, 1, "%d jobs", ("three",), None)
    assert json.loads(JSONFormatter().format(entry))["message"] == "%d jobs (TypeError: its arguments do not fit)"


@pytest.mark.parametrize("interruption", RAISED_INTO_JOBS)
def test_an_interruption_while_a_line_in_json_is_made_comes_through(interruption):
    class Argument:
        def __str__(self) -> str:
            raise interruption

    entry = logging.LogRecord("shop", logging.INFO, __file__, 1, "%s", (Argument(),), None)
    with pytest.raises(interruption):
        JSONFormatter().format(entry)


def test_a_line_in_json_carries_the_stack_if_there_is_one():
    entry = logging.LogRecord(
        "shop", logging.INFO, __file__, 1, "here", (), None, sinfo="Stack (most recent call last)"
    )
    assert json.loads(JSONFormatter().format(entry))["stack"] == "Stack (most recent call last)"


class WithoutText(Exception):
    def __str__(self) -> str:
        raise SystemExit


class WithoutName(type):
    def __getattribute__(cls, name: str) -> object:
        if name == "__qualname__":
            raise SystemExit
        return super().__getattribute__(name)


class NamelessError(Exception, metaclass=WithoutName):
    pass


@pytest.fixture(params=["text", "json"])
def logged(request):
    """A function that returns the line of an error in one of the formats."""
    formatter = JSONFormatter("worker")
    if request.param == "text":
        formatter = LabelFormatter(PlainFormatter(), "worker", colour=False)

    def line(error: BaseException) -> str:
        one = record(level=logging.ERROR)
        one.exc_info = (type(error), error, None)
        return formatter.format(one)

    return line


def test_a_traceback_in_the_log_is_as_long_as_a_stored_one(logged, settings):
    settings.LOCO = {"MAX_TRACEBACK_SIZE": 2_000}
    short = logged(ValueError("why"))
    assert "ValueError: why" in short
    assert "left out" not in short
    long = logged(ValueError("x" * 50_000 + "end"))
    assert len(long) < 2_600
    assert "left out here: LOCO['MAX_TRACEBACK_SIZE']" in long
    assert "xend" in long


def test_a_long_chain_of_errors_is_cut_in_the_log(logged, settings):
    error: BaseException | None = None
    for number in range(300):
        next_one = ValueError(number)
        next_one.__cause__, error = error, next_one
    assert error is not None
    settings.LOCO = {"MAX_TRACEBACK_SIZE": 2_000}
    assert len(logged(error)) < 3_000


def test_wrong_settings_cut_nothing(logged, settings):
    settings.LOCO = {"MAX_TRACEBACK_SIZE": "long"}
    assert len(logged(ValueError("x" * 100_000))) > 100_000


def test_a_secret_is_hidden_before_the_traceback_is_cut(logged, settings):
    settings.LOCO = {"MAX_TRACEBACK_SIZE": 1_000}
    token = redaction._hidden_here.set(("s" * 900,))
    try:
        assert "sss" not in logged(ValueError("s" * 900 + " " + "x" * 700))
    finally:
        redaction._hidden_here.reset(token)


def test_an_error_that_cannot_be_formatted_has_a_line(logged):
    assert "hello" in logged(NamelessError())
    assert "WithoutText" in logged(WithoutText())
