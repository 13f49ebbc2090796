"""Labels of log lines, the JSON form, and the console under several LOGGING settings."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import logging.config
import sys
import threading

import pytest
from django.test import override_settings
from django.utils.log import DEFAULT_LOGGING

from django_loco import log
from django_loco.compat import TASKS_LOGGER

JOB = {"component": "worker", "job_id": "0198f3a1c2d37e4f8a1b2c3d9f3a01bc", "task": "shop.tasks.send", "attempt": 2}


def record(name: str = "shop", level: int = logging.INFO, message: str = "hello") -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, message, (), None)


@pytest.fixture
def job():
    token = log.bind(**JOB)
    yield
    log.unbind(token)


def labelled(entry: logging.LogRecord, component: str = "") -> str:
    log.LabelFilter(component).filter(entry)
    return str(entry.label)  # type: ignore[attr-defined]


def test_a_line_of_a_job(job):
    entry = record()
    assert labelled(entry) == "[worker] send#9f3a01bc/2"
    assert {name: entry.__dict__[name] for name in log.FIELDS} == JOB


def test_what_is_bound_is_bound_to_one_thread_and_taken_back(job):
    token = log.bind(attempt=3)
    assert labelled(record()).endswith("/3")
    log.unbind(token)
    assert labelled(record()).endswith("/2")
    elsewhere: list[str] = []
    thread = threading.Thread(target=lambda: elsewhere.append(contextvars.Context().run(labelled, record())))
    thread.start()
    thread.join()
    assert elsewhere == [""]


def test_asyncio_tasks_do_not_mix_up():
    async def one(task: str) -> str:
        log.bind(component="worker", job_id="x" * 32, task=task, attempt=1)
        await asyncio.sleep(0)
        return labelled(record())

    async def both() -> list[str]:
        return list(await asyncio.gather(one("a"), one("b")))

    assert asyncio.run(both()) == ["[worker] a#xxxxxxxx/1", "[worker] b#xxxxxxxx/1"]


@pytest.mark.parametrize(
    ("logger", "component"),
    [
        ("django.server", "web"),
        ("django.request", "web"),
        ("django_loco.worker.heartbeat", "worker"),
        ("django_loco.scheduler", "scheduler"),
        ("django_loco.scheduling", "default"),
        ("shop", "default"),
    ],
)
def test_the_component_of_a_line_that_nothing_else_tells(logger, component):
    assert labelled(record(logger), "default") == f"[{component}]"


def test_nothing_known_is_an_empty_label():
    assert labelled(record()) == ""
    assert log.LabelFormatter(log.PlainFormatter()).format(record()).endswith("] hello")


def test_the_level_is_shown_from_warning_on():
    assert log.PlainFormatter().format(record(level=logging.WARNING)).endswith("] WARNING: hello")


def test_a_line_of_a_job_on_the_console(job):
    line = log.LabelFormatter(log.PlainFormatter()).format(record(level=logging.ERROR))
    assert line.startswith("[worker]    [")
    assert line.endswith("] send#9f3a01bc/2 ERROR: hello")


def test_a_line_of_a_job_in_a_users_format(job):
    line = log.LabelFormatter(logging.Formatter("<%(message)s>")).format(record())
    assert line == "[worker]    send#9f3a01bc/2 <hello>"


def test_what_django_says_of_a_task_is_not_said_twice(job):
    entry = logging.LogRecord(
        TASKS_LOGGER, logging.INFO, __file__, 1, "Task id=%s path=%s state=%s", ("id", "path", "SUCCESSFUL"), None
    )
    assert log.LabelFormatter(log.PlainFormatter()).format(entry).endswith("] send#9f3a01bc/2 successful")


def test_a_line_in_json(job):
    try:
        raise ValueError("no")
    except ValueError:
        entry = record()
        entry.exc_info = sys.exc_info()
    line = log.JSONFormatter().format(entry)
    assert "\n" not in line
    fields = json.loads(line)
    assert fields.pop("exception").endswith("ValueError: no")
    assert fields.pop("time").endswith("+00:00")
    assert fields == {"level": "INFO", "logger": "shop", "message": "hello", **JOB}


def test_a_line_in_json_leaves_out_what_is_not_known():
    assert set(json.loads(log.JSONFormatter().format(record()))) == {"time", "level", "logger", "message"}


class Console:
    """What a process with some LOGGING would show on its two streams."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._lines: list[str] = []

    @property
    def lines(self) -> list[str]:
        for text in self._capsys.readouterr():
            self._lines += text.splitlines()
        return self._lines


@pytest.fixture
def console(capsys, monkeypatch):
    """A clean logging tree; what the test finds there is put back afterwards."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    names = ("", "django", "django.server", "django_loco", TASKS_LOGGER, "shop")
    loggers = {name: logging.getLogger(name) for name in names}
    before = {name: (logger.handlers[:], logger.level, logger.propagate) for name, logger in loggers.items()}
    for name, logger in loggers.items():
        logger.handlers[:] = []
        logger.setLevel(logging.NOTSET if name else logging.WARNING)
    yield Console(capsys)
    for name, (handlers, level, propagate) in before.items():
        loggers[name].handlers[:] = handlers
        loggers[name].setLevel(level)
        loggers[name].propagate = propagate
    if logging.lastResort:
        logging.lastResort.setFormatter(None)


def configure(**logging_settings) -> None:
    logging.config.dictConfig(DEFAULT_LOGGING)
    if logging_settings:
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, **logging_settings})


ON_CONSOLE = {"handlers": {"console": {"class": "logging.StreamHandler"}}}


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("name", ["django_loco.worker", TASKS_LOGGER])
def test_with_djangos_default_every_line_is_shown_once(console, debug, name):
    configure()
    with override_settings(DEBUG=debug):
        log.set_up_console("worker")
        for level in (logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(level, "hello")
    assert len(console.lines) == 3
    assert all(line.startswith("[worker]    [") for line in console.lines)


@pytest.mark.parametrize(
    "settings",
    [
        {**ON_CONSOLE, "root": {"handlers": ["console"], "level": "INFO"}},
        {**ON_CONSOLE, "root": {"handlers": ["console"], "level": "WARNING"}},
        {
            **ON_CONSOLE,
            "root": {"handlers": ["console"]},
            "loggers": {"django_loco": {"handlers": ["console"], "propagate": False}},
        },
        {
            "handlers": {"console": {"class": "logging.StreamHandler", "level": "WARNING"}},
            "root": {"handlers": ["console"], "level": "DEBUG"},
        },
    ],
)
def test_with_a_users_logging_every_line_is_shown_once(console, settings):
    configure(**settings)
    log.set_up_console("worker")
    logging.getLogger("django_loco.worker").info("one")
    logging.getLogger("django_loco.worker").warning("two")
    assert len(console.lines) == 2


def test_a_level_that_the_user_set_is_respected(console):
    configure(**ON_CONSOLE, loggers={"django_loco": {"handlers": ["console"], "level": "ERROR"}})
    log.set_up_console("worker")
    logging.getLogger("django_loco.worker").warning("hello")
    assert console.lines == []


def test_a_users_format_stays_behind_the_label(console):
    configure(
        formatters={"mine": {"format": "<%(message)s>"}},
        handlers={"console": {"class": "logging.StreamHandler", "formatter": "mine"}},
        root={"handlers": ["console"], "level": "INFO"},
    )
    log.set_up_console("web")
    logging.getLogger("shop").info("hello")
    assert console.lines == ["[web]       <hello>"]


def test_a_line_without_any_handler_is_labelled_too(console):
    configure()
    logging.root.handlers.clear()  # pytest's
    log.set_up_console("web")
    logging.getLogger("shop").warning("hello")
    assert len(console.lines) == 1
    assert console.lines[0].startswith("[web]       [")


def test_setting_up_twice_changes_nothing(console):
    configure()
    log.set_up_console("worker")
    log.set_up_console("worker")
    logging.getLogger("django_loco").info("hello")
    logging.getLogger("django.server").info("GET")
    assert [line.count("[worker]") + line.count("[web]") for line in console.lines] == [1, 1]


def test_json_on_the_console(console):
    configure()
    log.set_up_console("worker", form="json")
    logging.getLogger("django_loco").info("hello")
    logging.getLogger("django.server").info("GET")
    assert [json.loads(line)["component"] for line in console.lines] == ["worker", "web"]


def test_colour_only_on_a_terminal_and_not_against_the_users_wish(console, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    configure()
    log.set_up_console("worker")
    logging.getLogger("django_loco").info("hello")
    assert console.lines[0].startswith("\x1b[")


@pytest.mark.parametrize("wish", ["NO_COLOR", "argument"])
def test_no_colour_against_the_users_wish(console, monkeypatch, wish):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    if wish == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    configure()
    log.set_up_console("worker", colour=wish != "argument")
    logging.getLogger("django_loco").info("hello")
    assert console.lines[0].startswith("[worker]")


def test_files_are_left_alone(console, tmp_path):
    configure(
        handlers={"file": {"class": "logging.FileHandler", "filename": str(tmp_path / "log")}},
        root={"handlers": ["file"], "level": "INFO"},
    )
    log.set_up_console("worker")
    logging.getLogger("django_loco").info("hello")
    assert (tmp_path / "log").read_text() == "hello\n"
    assert len(console.lines) == 1
    logging.getLogger().handlers[0].close()
