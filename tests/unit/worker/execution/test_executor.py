"""From a job to its outcome: the steps around user code, in a thread and on an event loop."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import replace
from typing import Any

import pytest
from django.dispatch import Signal
from django.test import override_settings

from django_loco.backend import LocoBackend
from django_loco.core.compat import TASKS_LOGGER, TaskResult, task_finished, task_started
from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, Outcome, utcnow
from django_loco.log import labels as log
from django_loco.log.formatters import JSONFormatter, LabelFormatter
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.execution.executor import aexecute, execute
from django_loco.worker.execution.unknown_task import SHORTEST_SECONDS

from ..support import claimed_of, held
from ..tasks import told

Execute = Callable[[ClaimedJob], Outcome | None]


def on_a_thread(claimed: ClaimedJob) -> Any:
    return copy_context().run(execute, claimed)


def on_a_loop(claimed: ClaimedJob) -> Any:
    async def call(attempt: Any) -> Any:
        return await attempt.begin()

    async def main() -> Outcome | None:
        return await aexecute(claimed, call)

    return copy_context().run(asyncio.run, main())


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ended(kind: str) -> Callable[..., Outcome]:
    """Run the task ``name`` (on a loop: its async sibling ``aname``) and return the outcome."""

    def ended(name: str, *args: Any, **fields: Any) -> Outcome:
        claimed = claimed_of(name if kind == "sync" else f"a{name}", *args, **fields)
        outcome = on_a_thread(claimed) if kind == "sync" else on_a_loop(claimed)
        assert outcome is not None
        return outcome

    return ended


class Heard:
    """What receivers heard of a signal."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.senders: list[type] = []
        self.results: list[TaskResult] = []
        self.statuses: list[str] = []
        self.errors: list[BaseException | None] = []
        signal.connect(self.receive)

    def receive(self, sender: type, task_result: TaskResult, **kwargs: Any) -> None:
        self.senders.append(sender)
        self.results.append(task_result)
        self.statuses.append(task_result.status)
        self.errors.append(sys.exc_info()[1])


@pytest.fixture
def started() -> Iterator[Heard]:
    heard = Heard(task_started)
    yield heard
    task_started.disconnect(heard.receive)


@pytest.fixture
def finished() -> Iterator[Heard]:
    heard = Heard(task_finished)
    yield heard
    task_finished.disconnect(heard.receive)


# Success


def test_a_job_that_returns(ended):
    outcome = ended("add", 1, 2)
    assert outcome.status == SUCCESSFUL
    assert outcome.return_value == "3"
    assert outcome.error is None
    assert outcome.spent


def test_keyword_arguments():
    outcome = on_a_thread(ClaimedJob(replace(held("add"), arguments='[[1],{"b":5}]')))
    assert outcome.return_value == "6"


def test_what_is_returned_makes_the_round_trip(finished):
    assert json.loads(on_a_thread(claimed_of("int_keys")).return_value or "") == {"1": [2, 3]}
    assert finished.results[0].return_value == {"1": [2, 3]}


def test_the_context_comes_first():
    outcome = on_a_thread(claimed_of("look"))
    assert json.loads(outcome.return_value)["attempt"] == 1


def test_an_async_function_on_a_thread():
    outcome = on_a_thread(claimed_of("aadd", 1, 2))
    assert outcome.return_value == "3"


def test_each_job_has_a_context_of_its_own(kind):
    run = on_a_thread if kind == "sync" else on_a_loop
    name = "leak" if kind == "sync" else "aleak"
    assert [run(claimed_of(name)).return_value for _ in range(2)] == ['"clean"', '"clean"']


# Failure


def test_a_job_that_raises(ended):
    outcome = ended("fail", "oops")
    assert outcome.status == FAILED
    assert outcome.error.exception_class is ValueError
    assert outcome.error.traceback.startswith("Traceback (most recent call last):")
    assert "in fail" in outcome.error.traceback or "in afail" in outcome.error.traceback
    assert outcome.error.traceback.endswith("ValueError: oops\n")
    assert outcome.spent


def test_the_traceback_holds_the_cause():
    outcome = on_a_thread(claimed_of("a_set"))
    assert outcome.status == FAILED
    assert outcome.error.exception_class_path == "builtins.TypeError"
    assert "tests.unit.worker.tasks.a_set: the return value cannot be stored as JSON" in outcome.error.traceback


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "End"])
def test_nothing_that_a_job_raises_comes_through(ended, name):
    outcome = ended("end", name)
    assert outcome.status == FAILED  # for good: what is no Exception is not tried again
    assert outcome.error.exception_class.__name__ == name


def test_a_cancellation_of_its_own_is_a_failure():
    outcome = on_a_loop(claimed_of("cancelled_by_itself"))
    assert outcome.status == FAILED
    assert outcome.error.exception_class is asyncio.CancelledError


def test_a_cancellation_by_the_worker_hands_the_job_back():
    claimed = claimed_of("cancelled_by_itself")
    claimed.released = True
    outcome = on_a_loop(claimed)
    assert (outcome.status, outcome.spent, outcome.error) == (READY, False, None)


def test_another_failure_of_a_job_that_was_cancelled_stays_a_failure(kind):
    claimed = claimed_of("fail" if kind == "sync" else "afail", "oops")
    claimed.released = True
    outcome = on_a_thread(claimed) if kind == "sync" else on_a_loop(claimed)
    assert (outcome.status, outcome.error.exception_class) == (FAILED, ValueError)


# Another attempt


def test_a_failure_is_tried_again(ended):
    before = utcnow()
    outcome = ended("fail_often")
    assert outcome.status == READY
    assert outcome.spent
    assert outcome.error.exception_class is ConnectionError
    assert 6.9 < (outcome.run_after - before).total_seconds() < 8


def test_but_not_the_last_time(ended):
    outcome = ended("fail_often", worker_ids=("w0", "w0"))
    assert outcome.status == FAILED


def test_a_retry_is_logged_with_the_attempt_and_the_delay(ended, caplog):
    ended("fail_often", worker_ids=("w0",))
    [record] = [record for record in caplog.records if record.name == "django_loco.worker"]
    assert record.levelname == "WARNING"
    assert "attempt 2 of 3 failed; the next one is due in 7.0 s" in record.getMessage()
    assert record.exc_info[0] is ConnectionError


@pytest.mark.parametrize("name", ["bad_backoff", "endless_backoff"])
def test_a_backoff_that_is_of_no_use_is_replaced(name, caplog):
    before = utcnow()
    outcome = on_a_thread(claimed_of(name))
    assert outcome.status == READY
    assert 1.4 < (outcome.run_after - before).total_seconds() < 3
    assert "backoff" in caplog.text


# What cannot be run


def test_a_task_that_is_not_here_waits_for_a_worker_that_has_it(ended, started, finished, caplog):
    before = utcnow()
    outcome = ended("no_such_task")
    assert outcome.status == READY
    assert not outcome.spent
    assert outcome.error.exception_class_path == "django_loco.exceptions.UnknownTask"
    assert abs((outcome.run_after - before).total_seconds() - SHORTEST_SECONDS) <= SHORTEST_SECONDS / 4 + 1
    assert (started.results, finished.results) == ([], [])


def test_that_is_told_in_the_same_words_each_time():
    first = on_a_thread(ClaimedJob(held("no_such_task")))
    again = on_a_thread(ClaimedJob(replace(held("no_such_task"), errors=(first.error,))))
    assert first.error == again.error  # so that it is kept once, however often it is tried


def test_a_module_that_fails_on_import_is_no_crash():
    claimed = ClaimedJob(replace(held("nothing"), task_path="tests.unit.worker.broken.nothing"))
    outcome = on_a_thread(claimed)
    assert (outcome.status, outcome.spent) == (READY, False)
    assert "ZeroDivisionError" in outcome.error.traceback


@pytest.mark.parametrize("text", ["", "[[1,", "17", '["a"]', "[1,2,3]", "null"])
def test_stored_arguments_that_are_damaged_fail_the_job(text, finished):
    outcome = on_a_thread(ClaimedJob(replace(held("add"), arguments=text)))
    assert outcome.status == FAILED
    assert outcome.error.exception_class_path == "builtins.ValueError"
    assert "tests.unit.worker.tasks.add: job" in outcome.error.traceback
    assert finished.statuses == [FAILED]


@pytest.mark.parametrize("options", [{"retry_on": "OSError"}, {"retry_on": [7]}, {"timeout": "soon"}, {"backoff": []}])
def test_stored_options_that_are_damaged_fail_the_job(options):
    outcome = on_a_thread(ClaimedJob(held("add", 1, options=options)))
    assert outcome.status == FAILED
    assert "cannot be run as it is stored" in outcome.error.traceback


def test_what_cannot_be_stored_beside_the_outcome_does_not_change_it(kind, caplog):
    claimed = claimed_of("break_metadata" if kind == "sync" else "abreak_metadata")
    claimed.update = broken_update
    outcome = on_a_thread(claimed) if kind == "sync" else on_a_loop(claimed)
    assert (outcome.status, outcome.return_value) == (SUCCESSFUL, '"done"')
    assert "The last progress" in caplog.text
    assert "the connection is broken" in caplog.text
    assert "The metadata" in caplog.text
    assert "the rows are gone" in caplog.text


def broken_update(*args: Any) -> bool:
    raise SystemExit("the connection is broken")


# Signals


def test_receivers_hear_of_start_and_end(ended, started, finished):
    ended("add", 1, 2)
    assert started.senders == finished.senders == [LocoBackend]
    assert (started.statuses, finished.statuses) == ([RUNNING], [SUCCESSFUL])
    result = finished.results[0]
    assert result.return_value == 3
    assert result.finished_at is not None
    assert result.worker_ids == ["w1"]
    assert finished.errors == [None]


def test_receivers_of_a_failure_find_its_exception(ended, finished):
    ended("fail", "oops")
    assert finished.statuses == [FAILED]
    assert str(finished.errors[0]) == "oops"
    assert [error.exception_class for error in finished.results[0].errors] == [ValueError]


def test_earlier_errors_are_in_the_result(ended, finished):
    first = ended("fail_often").error
    ended("fail_often", worker_ids=("w0", "w0"), errors=(first, first))
    assert len(finished.results[0].errors) == 3


def test_a_retry_is_no_end(ended, started, finished):
    ended("fail_often")
    assert (started.statuses, finished.statuses) == ([RUNNING], [])


@pytest.mark.parametrize("error", [ValueError, SystemExit])
@pytest.mark.parametrize("signal", [task_started, task_finished])
def test_a_receiver_that_raises_changes_nothing(ended, signal, error, caplog):
    def receiver(**kwargs: Any) -> None:
        raise error("from a receiver")

    signal.connect(receiver)
    try:
        assert ended("add", 1).status == SUCCESSFUL
        assert ended("fail").status == FAILED
    finally:
        signal.disconnect(receiver)
    assert "from a receiver" in caplog.text


def test_async_receivers(ended):
    heard = []

    async def receiver(task_result: TaskResult, **kwargs: Any) -> None:
        heard.append(task_result.status)

    task_finished.connect(receiver)
    try:
        ended("add", 1)
    finally:
        task_finished.disconnect(receiver)
    assert heard == [SUCCESSFUL]


def test_times_are_naive_in_a_project_that_wants_them_so(ended, finished):
    with override_settings(USE_TZ=False):
        ended("add", 1)
    assert finished.results[0].finished_at.tzinfo is None


def test_django_logs_a_failure_with_its_traceback(ended, caplog):
    with caplog.at_level(logging.INFO, TASKS_LOGGER):
        ended("fail", "oops")
    [record] = [record for record in caplog.records if record.name == TASKS_LOGGER and record.levelname == "ERROR"]
    assert record.exc_info[0] is ValueError


# Decided elsewhere


@pytest.mark.parametrize("name", ["add", "fail", "no_such_task"])
def test_a_run_that_is_settled_already_has_no_outcome_here(kind, name, finished):
    claimed = claimed_of({"add": "aadd", "fail": "afail"}.get(name, name) if kind == "async" else name, 1)
    claimed.decide()
    assert (on_a_thread(claimed) if kind == "sync" else on_a_loop(claimed)) is None
    assert finished.statuses == []


@pytest.mark.parametrize("name", ["tell", "no_such_task"])
def test_a_job_that_was_lost_before_it_began_is_not_begun(name, started):
    claimed = claimed_of(name, "it ran")
    claimed.expired = True
    outcome = on_a_thread(claimed)
    assert (outcome.status, outcome.spent, outcome.run_after) == (READY, False, None)
    assert started.statuses == []
    assert told == []


# Log


def test_log_lines_of_a_job_are_labelled():
    seen: list[dict[str, Any]] = []

    def note(attempt: Any = None) -> None:
        seen.append(log.fields_of(logging.LogRecord("shop", logging.INFO, "", 1, "", (), None)))

    claimed = claimed_of("nothing")
    copy_context().run(execute, claimed, note)
    note()
    assert [seen[0][name] for name in ("job_id", "task", "attempt")] == [claimed.job.id, claimed.job.task_path, 1]
    assert seen[1]["job_id"] == ""


@pytest.mark.parametrize("form", [JSONFormatter(), LabelFormatter(logging.Formatter("%(message)s"))])
def test_what_must_not_be_shown_is_neither_in_the_error_nor_in_the_log(ended, form):
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(form.format(record))  # type: ignore[method-assign]
    logging.getLogger(TASKS_LOGGER).addHandler(handler)
    try:
        with override_settings(LOCO={"REDACT": ["message"]}):
            outcome = ended("fail", "no user called hunter2")
        plain = ended("fail", "no user called hunter2")
    finally:
        logging.getLogger(TASKS_LOGGER).removeHandler(handler)
    assert "hunter2" not in outcome.error.traceback
    assert "ValueError: ********" in outcome.error.traceback
    assert "hunter2" in plain.error.traceback
    hidden, shown = (line for line in lines if "Traceback" in line)
    assert "ValueError: ********" in hidden
    assert "hunter2" not in hidden
    assert "hunter2" in shown
    assert "hunter2" not in repr(claimed_of("fail", "hunter2").job)
