"""Jobs that run inside ``enqueue()``."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest

from django_loco.core.job import FAILED, READY, SUCCESSFUL, Job, utcnow
from django_loco.queues.memory import MemoryQueue
from django_loco.worker.pools.inline import run_inline

from ..support import job
from ..tasks import leaky, told


def run(queue: MemoryQueue, name: str, *args: Any, **fields: Any) -> Job:
    one = job(name, *args, **fields)
    run_inline(queue, one)
    ended = queue.get(one.id)
    assert ended is not None
    return ended


@pytest.mark.parametrize("name", ["add", "aadd"])
def test_a_job_runs_to_its_end(queue, name):
    ended = run(queue, name, 1, 2)
    assert (ended.status, ended.return_value, ended.worker_ids) == (SUCCESSFUL, "3", ("foreground",))


@pytest.mark.parametrize("name", ["fail_often", "afail_often"])
def test_retries_do_not_wait(queue, name):
    ended = run(queue, name)
    assert ended.status == FAILED
    assert len(ended.errors) == 3


def test_a_key_lets_one_job_run(queue):
    assert run_inline(queue, job("add", 1, 2, key="k")) is not None
    assert run_inline(queue, job("add", 1, 2, key="k")) is None


def test_other_jobs_that_are_due_do_not_matter(queue):
    queue.enqueue([job("add", 1, priority=50), job("anothing"), job("nothing", queue_name="emails")])
    assert run(queue, "add", 2).status == SUCCESSFUL


def test_an_unknown_task_is_kept_and_not_tried_for_ever(queue):
    ended = run(queue, "gone")
    assert ended.status == READY
    assert len(ended.errors) == 1


@pytest.mark.parametrize("name", ["snooze", "asnooze"])
def test_a_snoozed_job_stays_ready_and_the_log_says_that_nothing_runs_it(queue, name, caplog):
    ended = run(queue, name, 60)
    assert (ended.status, ended.errors, ended.checkpoint) == (READY, (), '"half"')
    assert ended.run_after is not None
    assert "nothing runs it again" in caplog.text


def test_a_job_for_later_runs_now_for_nobody_would_run_it_then(queue):
    assert run(queue, "nothing", run_after=utcnow() + timedelta(hours=1)).status == SUCCESSFUL


@pytest.mark.parametrize(("name", "class_path"), [("spin", "JobTimeout"), ("asleep", "JobTimeout")])
def test_a_limit_holds_here_too(queue, name, class_path):
    ended = run(queue, name)
    assert ended.status == FAILED
    assert ended.errors[0].exception_class_path == f"django_loco.exceptions.{class_path}"


def test_an_interrupt_by_the_user_fails_the_job_and_goes_on(queue):
    one = job("end", "KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        run_inline(queue, one)
    assert queue.get(one.id).status == FAILED


def test_an_exit_of_the_job_is_no_exit_of_the_caller(queue):
    assert run(queue, "end", "SystemExit").status == FAILED


def test_the_callers_context_is_not_the_jobs(queue):
    assert run(queue, "leak").return_value == '"clean"'
    assert leaky.get() == "clean"


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("name", ["forks", "aforks"])
@pytest.mark.parametrize(("ends", "code"), [("return", 40), ("exit", 3), ("raise", 41)])
def test_a_fork_goes_on_as_the_code_of_the_caller(queue, name, ends, code, monkeypatch):
    """Unless it was made in a thread of ``async_to_sync``, to which nobody returns."""
    original, told[:], code_of_caller = os.getpid(), [], 0
    monkeypatch.setattr("django_loco.worker.execution.executor._announce_end", lambda *_: told.append("announced"))
    try:
        ended = run_inline(queue, job(name, ends))
        code_of_caller = 40 if told == ["fork"] else 50
    except SystemExit as error:
        code_of_caller = int(str(error.code))
    except LookupError:
        code_of_caller = 41
    finally:
        if os.getpid() != original:
            os._exit(code_of_caller)
    assert ended is not None
    codes = {code} if name == "forks" else {code, {"return": 0, "exit": 3, "raise": 1}[ends]}
    assert int(str(ended.return_value)) in codes
    assert told == ["announced"]
