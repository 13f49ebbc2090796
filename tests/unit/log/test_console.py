"""The console of a command under several ``LOGGING`` settings."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import sys
import threading
import warnings
from contextvars import copy_context
from types import SimpleNamespace

import pytest
from django.test import override_settings
from django.utils.log import DEFAULT_LOGGING

from django_loco.core.compat import TASKS_LOGGER
from django_loco.core.job import Job
from django_loco.core.threads import DaemonThread
from django_loco.log import django_records, job_lines
from django_loco.log.console import set_up_console, wants_colour
from django_loco.log.job_lines import show_job_lines
from django_loco.log.labels import bind
from django_loco.log.output import bounded
from django_loco.log.output.bounded import HandlerThread
from django_loco.log.safe import show, show_with


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
    for variable in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(django_records, "_is_forced", False)
    names = ("", "django", "django.server", "django_loco", TASKS_LOGGER, "shop", "py.warnings")
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
    logging.captureWarnings(capture=False)
    show_job_lines(None)
    show_with(None)
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
        set_up_console("worker")
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
    set_up_console("worker")
    logging.getLogger("django_loco.worker").info("one")
    logging.getLogger("django_loco.worker").warning("two")
    assert len(console.lines) == 2


def test_a_level_that_the_user_set_is_respected(console):
    configure(**ON_CONSOLE, loggers={"django_loco": {"handlers": ["console"], "level": "ERROR"}})
    set_up_console("worker")
    logging.getLogger("django_loco.worker").warning("hello")
    assert console.lines == []


def test_a_users_format_stays_behind_the_label(console):
    configure(
        formatters={"mine": {"format": "<%(message)s>"}},
        handlers={"console": {"class": "logging.StreamHandler", "formatter": "mine"}},
        root={"handlers": ["console"], "level": "INFO"},
    )
    set_up_console("web")
    logging.getLogger("shop").info("hello")
    assert console.lines == ["[web]       <hello>"]


def test_a_line_without_any_handler_is_labelled_too(console):
    configure()
    logging.root.handlers.clear()  # pytest's
    set_up_console("web")
    logging.getLogger("shop").warning("hello")
    assert len(console.lines) == 1
    assert console.lines[0].startswith("[web]       [")


def test_setting_up_twice_changes_nothing(console):
    configure()
    set_up_console("worker")
    set_up_console("worker")
    logging.getLogger("django_loco").info("hello")
    logging.getLogger("django.server").info("GET")
    assert [line.count("[worker]") + line.count("[web]") for line in console.lines] == [1, 1]


def test_json_on_the_console(console):
    configure()
    set_up_console("worker", form="json")
    logging.getLogger("django_loco").info("hello")
    logging.getLogger("django.server").info("GET")
    assert [json.loads(line)["component"] for line in console.lines] == ["worker", "web"]


def test_colour_only_on_a_terminal_and_not_against_the_users_wish(console, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    configure()
    set_up_console("worker")
    logging.getLogger("django_loco").info("hello")
    assert console.lines[0].startswith("\x1b[")


@pytest.mark.parametrize("wish", ["NO_COLOR", "argument"])
def test_no_colour_against_the_users_wish(console, monkeypatch, wish):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    if wish == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    configure()
    set_up_console("worker", colour=False if wish == "argument" else None)
    logging.getLogger("django_loco").info("hello")
    assert console.lines[0].startswith("[worker]")


@pytest.mark.parametrize(
    ("variables", "terminal", "argument", "colour"),
    [
        ({}, False, None, False),
        ({"FORCE_COLOR": "1"}, False, None, True),
        ({"FORCE_COLOR": ""}, False, None, False),
        ({"NO_COLOR": ""}, True, None, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, None, False),
        ({"NO_COLOR": "1"}, False, True, True),
        ({"FORCE_COLOR": "1"}, True, False, False),
    ],
)
def test_who_decides_on_colour(console, monkeypatch, variables, terminal, argument, colour):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    assert wants_colour(sys.stderr, argument) is colour


def test_in_json_what_python_itself_would_write_is_a_line_too(console):
    def fail() -> None:
        raise ValueError("no")

    configure()
    set_up_console("worker", form="json")
    thread = threading.Thread(target=fail, name="feed")
    thread.start()
    thread.join()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    lines = [json.loads(line) for line in console.lines]
    assert lines[0]["message"] == "Thread 'feed' ended with an error"
    assert lines[0]["exception"].endswith("ValueError: no")
    assert "DeprecationWarning: old" in lines[1]["message"]


def test_files_are_left_alone(console, tmp_path):
    configure(
        handlers={"file": {"class": "logging.FileHandler", "filename": str(tmp_path / "log")}},
        root={"handlers": ["file"], "level": "INFO"},
    )
    set_up_console("worker")
    logging.getLogger("django_loco").info("hello")
    assert (tmp_path / "log").read_text() == "hello\n"
    assert len(console.lines) == 1
    logging.getLogger().handlers[0].close()


def test_what_a_job_logs_is_shown_from_info_on(console):
    configure()
    logging.root.handlers.clear()  # pytest's
    set_up_console("worker")
    logger = logging.getLogger("shop")
    logger.info("not in a job")
    labelled(lambda: (logger.info("%s in a job", "done"), logger.debug("nobody cares")))
    labelled(lambda: logging.getLogger("django_loco.worker").info("ours, once"))
    logger.warning("worth a look")
    assert [line.partition("] ")[2].partition("] ")[2] for line in console.lines] == [
        "send#12345678/1 done in a job",
        "send#12345678/1 ours, once",
        "WARNING: worth a look",
    ]


@pytest.mark.parametrize("level", ["INFO", "WARNING"])
def test_a_project_that_has_set_up_the_root_logger_keeps_it(console, level):
    configure(**ON_CONSOLE, root={"handlers": ["console"], "level": level})
    set_up_console("worker")
    labelled(lambda: logging.getLogger("shop").info("in a job"))
    assert len(console.lines) == (level == "INFO")


def end_well() -> None:
    """Log what a job that ends well logs: Django's record, if anybody wants it, and our line."""
    if django_records.hears_tasks():
        logging.getLogger(TASKS_LOGGER).info("Task id=%s path=%s state=%s", "1", "shop.send", "SUCCESSFUL")
    job_lines.done(Job(task_path="shop.send", backend="default", id="0" * 24 + "9f3a01bc"), 0.012)


@pytest.mark.parametrize("debug", [True, False])
def test_with_djangos_default_a_job_that_ends_well_has_one_line_of_ours(console, debug):
    configure()
    logging.root.handlers.clear()  # pytest's
    with override_settings(DEBUG=debug):
        set_up_console("worker")
        labelled(end_well)
    [line] = console.lines
    assert "] send#9f3a01bc/1 done in 12 ms, waited " in line


def test_a_handler_of_the_project_on_the_console_shows_djangos_record_instead(console):
    configure(**ON_CONSOLE, root={"handlers": ["console"], "level": "INFO"})
    logging.root.handlers[:] = [each for each in logging.root.handlers if type(each) is logging.StreamHandler]
    set_up_console("worker")
    labelled(end_well)
    [line] = console.lines
    assert line.endswith("] send#12345678/1 successful")


@pytest.mark.parametrize("named", ["", TASKS_LOGGER])
def test_a_file_of_the_project_gets_djangos_record_and_the_console_our_line(console, tmp_path, named):
    configure(
        handlers={"file": {"class": "logging.FileHandler", "filename": str(tmp_path / "log")}},
        loggers={named: {"handlers": ["file"], "level": "INFO"}},
    )
    set_up_console("worker")
    labelled(end_well)
    assert (tmp_path / "log").read_text() == "Task id=1 path=shop.send state=SUCCESSFUL\n"
    assert ["done in 12 ms" in line for line in console.lines] == [True]
    [file] = [each for each in logging.getLogger(named).handlers if isinstance(each, logging.FileHandler)]
    file.close()


class Once(logging.Filter):
    """A filter that passes each message once, as in the Python cookbook."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        self.seen.append(record.getMessage())
        return self.seen.count(self.seen[-1]) == 1


def filtered_once() -> Once:
    """Return the filter of the console handler of a project."""
    configure(**ON_CONSOLE, root={"handlers": ["console"], "level": "INFO"})
    logging.root.handlers[:] = [each for each in logging.root.handlers if type(each) is logging.StreamHandler]
    [handler] = logging.root.handlers
    found = Once()
    handler.addFilter(found)
    return found


@pytest.mark.parametrize("name", ["shop", "django_loco.worker", TASKS_LOGGER])
def test_a_filter_of_the_project_sees_each_record_once(console, name):
    once = filtered_once()
    set_up_console("worker")
    logging.getLogger(name).error("failed")
    assert once.seen == ["failed"]
    assert len(console.lines) == 1


@pytest.mark.parametrize("is_above", [True, False])
def test_a_filter_of_a_handler_in_a_thread_of_its_own_sees_each_record_once(console, is_above):
    once = filtered_once()
    set_up_console("worker")
    stream = io.StringIO()
    handler = logging.root.handlers[0]
    handler.stream = SimpleNamespace(stream=sys.stderr, write=stream.write, flush=stream.flush)
    handler.addFilter(HandlerThread(handler))
    logger = logging.getLogger("shop" if is_above else "django_loco")
    thread = DaemonThread(target=logger.error, args=("failed",))
    thread.start()
    thread.join()
    bounded.drain()
    assert once.seen == ["failed"]
    assert stream.getvalue().count("failed") == 1


def test_a_filter_of_the_project_sees_no_record_that_there_is_not(console):
    once = filtered_once()
    set_up_console("worker")
    for _ in range(2):
        labelled(end_well)
    assert [message.split()[0] for message in once.seen] == ["Task", "Task"]
    assert "done in" not in "".join(console.lines[:1])


def test_if_a_filter_of_the_project_refuses_djangos_records_our_lines_come(console, monkeypatch):
    once = filtered_once()
    set_up_console("worker")
    monkeypatch.setattr(once, "filter", lambda record: record.name != TASKS_LOGGER)
    for _ in range(2):
        labelled(end_well)
    assert ["done in 12 ms" in line for line in console.lines] == [True, True]


class Remote(logging.Handler):
    """A handler of a class that nobody knows, which sends its records elsewhere."""

    def emit(self, record: logging.LogRecord) -> None:
        pass


@pytest.mark.parametrize("name", ["django_loco.worker", TASKS_LOGGER])
def test_a_handler_that_sends_elsewhere_does_not_silence_the_console(console, name):
    configure(handlers={"own": {"()": Remote}}, root={"handlers": ["own"], "level": "INFO"})
    set_up_console("worker")
    logging.getLogger(name).error("failed")
    assert ["failed" in line for line in console.lines] == [True]


@pytest.mark.parametrize("form", ["text", "json"])
def test_trouble_with_the_log_is_a_line_whatever_handlers_there_are(console, form):
    configure(handlers={"own": {"class": "logging.Handler"}}, root={"handlers": ["own"], "level": "INFO"})
    set_up_console("worker", form=form)
    show("The log handler blocks", ValueError("no"))
    if form == "json":
        assert json.loads(console.lines[0])["message"] == "The log handler blocks"
    else:
        assert console.lines[0].endswith("] WARNING: The log handler blocks")
    assert "ValueError: no" in console.lines[-1]


def test_a_root_logger_for_warnings_as_in_djangos_documentation_leaves_one_line(console):
    """Django 6 names its logger ``django.tasks``, and lets ``INFO`` pass ``django``: that handler shows its records."""
    configure(**ON_CONSOLE, root={"handlers": ["console"], "level": "WARNING"})
    logging.root.handlers[:] = [each for each in logging.root.handlers if type(each) is logging.StreamHandler]
    set_up_console("worker")
    labelled(end_well)
    assert ["done in 12 ms" in line for line in console.lines] == [TASKS_LOGGER == "django_tasks"]


def labelled(action):
    """Call ``action`` as a job does."""
    context = copy_context()
    context.run(bind, component="worker", job_id="00000000000000000000000012345678", task="shop.send", attempt=1)
    context.run(action)
