"""What a job logs, until it is stored with the outcome."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from typing import Any

import pytest
from django.test import override_settings

from django_loco.core.job import FAILED, READY, SUCCESSFUL, Outcome
from django_loco.core.serialization import encode
from django_loco.exceptions import JobTimeout
from django_loco.log import safe
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.execution.executor import execute
from django_loco.worker.execution.kept_log import MAX_BYTES, MAX_RECORD_BYTES, JobLogger, KeepingFactory, KeptLog
from django_loco.worker.pools.inline import run_inline

from ..support import claimed_of, held, job, wait_until
from ..tasks import events

LOGGER = logging.getLogger("shop.csv")


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    """Restore the factory of records, and let the loggers of the tests make records of each level."""
    factory, LOGGER.level = logging.getLogRecordFactory(), logging.DEBUG
    yield
    logging.setLogRecordFactory(factory)
    LOGGER.setLevel(logging.NOTSET)


def kept(work: Callable[[], None], level: str = "INFO", secrets: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the log of a run that does ``work``."""
    log = KeptLog(held("nothing"), level, secrets)

    def run() -> None:
        log.begin()
        work()

    Context().run(run)
    stored = log.end()
    assert stored is not None
    assert "\n" not in stored
    return dict(json.loads(stored))


def test_lines_of_all_loggers_are_kept_from_the_level_on():
    def work() -> None:
        LOGGER.debug("too low")
        LOGGER.info("%d rows", 7)
        logging.getLogger("other").error("no %s", "disk")

    found = kept(work)
    first, second = found["text"].splitlines()
    assert first[:2] == "20"
    assert first[24:] == "INFO shop.csv: 7 rows"
    assert second[24:] == "ERROR other: no disk"
    assert (found["attempt"], found["dropped"], found["began_at"][-6:]) == (1, 0, "+00:00")
    assert "too low" in kept(work, "DEBUG")["text"]


def test_loggers_that_do_not_propagate_are_kept_and_handlers_get_their_lines(monkeypatch):
    seen: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = seen.append  # type: ignore[method-assign]
    monkeypatch.setattr(LOGGER, "propagate", False)
    LOGGER.addHandler(handler)
    try:
        assert "one" in kept(lambda: LOGGER.info("one"))["text"]
    finally:
        LOGGER.removeHandler(handler)
    assert [record.getMessage() for record in seen] == ["one"]


def test_a_run_that_logs_nothing_has_no_log():
    log = KeptLog(held("nothing"), "INFO")
    Context().run(log.begin)
    LOGGER.info("outside")
    assert log.end() is None


def test_lines_outside_of_the_job_are_not_kept():
    def work() -> None:
        Context().run(LOGGER.info, "another job")
        thread = threading.Thread(target=Context().run, args=(LOGGER.info, "a thread"))
        thread.start()
        thread.join()
        LOGGER.info("mine")

    assert kept(work)["text"].endswith("mine")
    assert len(kept(work)["text"].splitlines()) == 1


def test_lines_of_django_loco_and_of_its_tasks_are_not_kept():
    def work() -> None:
        for name in ("django_loco", "django_loco.worker", "django.tasks", "django_tasks"):
            logging.getLogger(name).error("about the job")
        logging.getLogger("django_loco_shop").error("mine")

    text = (
        kept(work)["text"]
        .replace("ERROR django_tasks: about the job", "")
        .replace("ERROR django.tasks: about the job", "")
    )
    assert text.count("about the job") == 0
    assert "mine" in text


def test_tracebacks_are_kept_and_further_lines_are_indented():
    def work() -> None:
        try:
            raise ValueError("no\n2026-11-28 12:00:00.000 INFO shop: forged")
        except ValueError:
            LOGGER.exception("a\nb \x1b[31m", stack_info=True)

    lines = kept(work)["text"].split("\n")
    assert lines[0].endswith("ERROR shop.csv: a")
    assert lines[1] == "    b \\x1b[31m"
    assert any("ValueError: no" in line for line in lines)
    assert any("Stack (most recent call last)" in line for line in lines)
    assert all(line.startswith("    ") for line in lines[1:])


def test_secrets_are_replaced_before_a_line_is_cut():
    text = kept(lambda: LOGGER.info("a s3cret %s s3cret", "x" * 2 * MAX_RECORD_BYTES), secrets=("s3cret",))["text"]
    assert "s3c" not in text
    assert text.count("********") == 2


def test_a_long_line_loses_its_middle():
    text = kept(lambda: LOGGER.info("begin %s end", "\n" * 3 * MAX_RECORD_BYTES))["text"]
    assert "begin" in text
    assert text.endswith(" end")
    assert "bytes were left out here: a line of a kept log has no more" in text
    assert len(text) < MAX_BYTES
    assert all(line.startswith("    ") for line in text.split("\n")[1:])


def test_the_oldest_lines_go_first_and_are_counted():
    def work() -> None:
        for number in range(10_000):
            LOGGER.info("%06d é", number)

    found = kept(work)
    numbers = [int(line.split()[-2]) for line in found["text"].splitlines()]
    assert numbers == list(range(found["dropped"], 10_000))
    size = len(found["text"].encode())
    assert MAX_BYTES - 100 < size <= MAX_BYTES


def test_arguments_that_cannot_be_formatted_do_not_harm_the_job(monkeypatch):
    shown: list[object] = []
    monkeypatch.setattr("django_loco.worker.execution.kept_log.show_once", lambda name, error: shown.append(error))
    monkeypatch.setattr(logging, "raiseExceptions", False)

    def work() -> None:
        LOGGER.info("%d", "seven")
        LOGGER.info("after")

    assert kept(work)["text"].endswith("after")
    assert [type(error) for error in shown] == [TypeError]


def test_the_time_limit_is_not_swallowed():
    class Slow:
        def __str__(self) -> str:
            raise JobTimeout("too long")

    def work() -> None:
        LOGGER.info("before")
        with pytest.raises(JobTimeout):
            LOGGER.info("%s", Slow())

    assert kept(work)["text"].endswith("before")


def test_a_factory_of_the_project_is_called_once_and_no_line_is_kept_twice():
    made: list[str] = []

    def wrapping() -> None:
        inner = logging.getLogRecordFactory()

        def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
            made.append(args[0])
            return inner(*args, **kwargs)

        logging.setLogRecordFactory(factory)

    assert len(kept(lambda: LOGGER.info("one"))["text"].splitlines()) == 1
    assert isinstance(logging.getLogRecordFactory(), KeepingFactory)
    wrapping()
    assert len(kept(lambda: LOGGER.info("one"))["text"].splitlines()) == 1
    assert made == ["shop.csv"]


def test_copies_of_records_are_not_kept():
    def work() -> None:
        logging.makeLogRecord({"msg": "copy", "levelno": 40})
        LOGGER.info("one")

    assert len(kept(work)["text"].splitlines()) == 1


def test_what_comes_after_the_end_is_dropped():
    log = KeptLog(held("nothing"), "INFO")
    context = Context()
    context.run(log.begin)
    context.run(LOGGER.info, "before")
    stored = log.end()
    context.run(LOGGER.info, "after")
    assert log.end() == stored


def test_many_threads_of_one_job_may_log():
    def log_often() -> None:
        for _ in range(500):
            LOGGER.info("x" * 90)

    def work() -> None:
        threads = [threading.Thread(target=copy_context().run, args=(log_often,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    found = kept(work)
    assert len(found["text"].splitlines()) + found["dropped"] == 4_000
    assert len(found["text"]) <= MAX_BYTES


def test_the_logger_of_a_job_is_kept_whatever_its_level_is(monkeypatch):
    logger = logging.getLogger("shop.tasks")
    monkeypatch.setattr(logger, "disabled", True)
    log = KeptLog(held("nothing"), "INFO", ("s3cret",))
    mine = JobLogger("shop.tasks", log)
    mine.debug("too low")
    mine.info("one %s", "s3cret")
    try:
        raise ValueError("no")
    except ValueError as error:
        mine.exception("two")
        mine.warning("three", exc_info=error)
        mine.warning("four", exc_info=(type(error), error, None))
    text = json.loads(log.end() or "")["text"]
    assert [line[24:] for line in text.splitlines() if line[:1] != " "] == [
        "INFO shop.tasks: one ********",
        "ERROR shop.tasks: two",
        "WARNING shop.tasks: three",
        "WARNING shop.tasks: four",
    ]
    assert text.count("ValueError: no") == 3
    JobLogger("shop.tasks", None).info("kept nowhere")


def test_the_logger_of_a_job_also_logs_and_names_the_line(caplog):
    log = KeptLog(held("nothing"), "INFO")
    with caplog.at_level("INFO", "shop.tasks"):
        context = Context()
        context.run(log.begin)
        context.run(JobLogger("shop.tasks", log).info, "one")
    [record] = caplog.records
    assert (record.name, record.getMessage()) == ("shop.tasks", "one")
    assert json.loads(log.end() or "")["text"].count("one") == 1
    JobLogger("shop.tasks", None).warning("here")
    assert caplog.records[-1].filename == "test_kept_log.py"


def outcome_of(name: str, *args: Any, **fields: Any) -> Outcome:
    """Return the outcome of a job with its log."""
    claimed = claimed_of(name, *args, **fields)
    outcome = Context().run(execute, claimed)
    assert outcome is not None
    return claimed.with_log(outcome)


def text_of(outcome: Outcome) -> str:
    """Return the lines in the log of an outcome, without their times."""
    assert outcome.log is not None
    return "\n".join(line[24:] for line in json.loads(outcome.log)["text"].splitlines())


MINE = "INFO tests.unit.worker.logging_tasks: from the job\nWARNING shop.csv: from a library"


@pytest.mark.parametrize("name", ["logs", "alogs"])
def test_a_job_keeps_its_log(name, logging_job):
    outcome = outcome_of(logging_job(name))
    assert (outcome.status, text_of(outcome)) == (SUCCESSFUL, MINE)
    failed = outcome_of(logging_job(name), "no")
    assert (failed.status, text_of(failed)) == (FAILED, MINE)


@pytest.fixture
def logging_job(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Return the name of a task of ``logging_tasks`` for ``job``, which is about those of ``tasks``."""
    monkeypatch.setattr("tests.unit.worker.support.TASKS", "tests.unit.worker.logging_tasks")
    return str


@pytest.mark.parametrize(
    ("loco", "name", "options", "expected"),
    [
        ({}, "logs", {}, MINE),
        ({}, "silent", {}, None),
        ({"KEEP_LOG": "INFO"}, "silent", {}, MINE),
        ({"KEEP_LOG": "WARNING"}, "logs", {}, "WARNING shop.csv: from a library"),
        ({"KEEP_LOG": "WARNING"}, "logs", {"keep_log": "INFO"}, MINE),
        ({"KEEP_LOG": "INFO"}, "logs", {"keep_log": False}, None),
        ({}, "silent", {"keep_log": True}, MINE),
        ({"TASKS": {"tests.unit.worker.logging_tasks.silent": {"keep_log": True}}}, "silent", {}, MINE),
        ({"TASKS": {"tests.unit.worker.logging_tasks.logs": {"keep_log": False}}}, "logs", {}, None),
        ({"TASKS": {"tests.unit.worker.logging_tasks.logs": {"keep_log": False}}}, "logs", {"keep_log": True}, MINE),
    ],
)
def test_the_options_decide_what_is_kept(loco, name, options, expected, logging_job):
    with override_settings(LOCO=loco):
        outcome = outcome_of(logging_job(name), options=options)
    assert (None if outcome.log is None else text_of(outcome)) == expected


def test_arguments_that_are_to_be_hidden_are_hidden(logging_job):
    with override_settings(LOCO={"REDACT": ["error"]}):
        outcome = outcome_of(logging_job("logs_its_argument"), "s3cret-7")
    assert text_of(outcome) == "INFO tests.unit.worker.logging_tasks: it is ********"


def test_a_job_that_runs_inside_enqueue_keeps_the_logs_of_all_its_attempts(queue, logging_job):
    one = job(logging_job("logs"), arguments=encode([[], {"error": "no"}]), options={"max_attempts": 3, "backoff": 0})
    ended = run_inline(queue, one)
    assert ended is not None
    lines = queue.logs([one.id])[one.id].split("\n")
    assert [json.loads(line)["attempt"] for line in lines] == [1, 2, 3]


@pytest.mark.parametrize("name", ["logs_and_waits", "alogs_and_waits"])
def test_a_job_that_is_handed_back_keeps_its_log(name, queue, start, logging_job):
    [one] = queue.enqueue([job(logging_job(name))])
    worker = start()
    assert events["logged"].wait(10)
    worker.stop(0)
    wait_until(lambda: queue.get(one.id).status == READY)
    events["go on"].set()
    assert worker.join(10)
    assert "from the job" in queue.logs([one.id])[one.id]


def test_a_claimed_job_without_a_log_leaves_the_outcome_alone():
    outcome = Outcome(job=held("nothing"), status=SUCCESSFUL)
    assert ClaimedJob(outcome.job).with_log(outcome) is outcome


def test_trouble_is_shown_once(capsys, monkeypatch):
    monkeypatch.setattr(safe, "_shown", set())
    monkeypatch.setattr(safe, "_handler", None)

    class Broken:
        def __str__(self) -> str:
            raise KeyError("no text")

    log = KeptLog(held("nothing"), "INFO")
    monkeypatch.setattr(logging.getLogger("shop.quiet"), "disabled", True)
    for _ in range(2):
        JobLogger("shop.quiet", log).info("%s", Broken())
    assert log.end() is None
    assert capsys.readouterr().err.count("A log line of shop.quiet was dropped") == 1
