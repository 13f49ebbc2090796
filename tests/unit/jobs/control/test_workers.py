"""Workers over all aliases, and commands to them."""

from __future__ import annotations

import pytest

from django_loco import jobs
from django_loco.core.job import utcnow
from django_loco.exceptions import InvalidState
from django_loco.queues import queue_for
from django_loco.queues.workers import WorkerInfo


def worker(worker_id, **given):
    fields = {
        "worker_id": worker_id, "host": "h", "pid": 1, "queues": ("a",), "tags": None, "threads": 1, "coroutines": 1,
        "lease": 30, "started_at": utcnow(),
    }  # fmt: skip
    return WorkerInfo(**fields | given)


def test_workers_have_the_alias_they_work_for():
    queue_for("default").register(worker("one"))
    queue_for("other").register(worker("two"))
    assert [(each.backend, each.worker_id, each.queues, each.is_alive) for each in jobs.workers()] == [
        ("default", "one", ("a",), True),
        ("other", "two", ("a",), True),
    ]
    assert [each.worker_id for each in jobs.workers(backend="other")] == ["two"]


def test_commands_reach_the_worker_that_is_named(queue):
    for name in ("one", "two"):
        queue.register(worker(name, role="worker"))
    for tell, command in ((jobs.quiet, "quiet"), (jobs.unquiet, ""), (jobs.stop, "stop")):
        tell("two")
        assert (queue.command_of("one"), queue.command_of("two")) == ("", command)
    jobs.quiet("one", backend="default")
    assert queue.command_of("one") == "quiet"


def test_a_worker_that_nobody_knows_is_a_mistake(queue):
    queue.register(worker("host:1:ab", role="worker"))
    with pytest.raises(ValueError, match=r"no worker 'host:1:aa' is registered\. Did you mean 'host:1:ab'\?"):
        jobs.quiet("host:1:aa")
    with pytest.raises(ValueError, match="no worker"):
        jobs.stop("host:1:ab", backend="other")


@pytest.mark.parametrize(
    ("fields", "tell", "problem"),
    [
        ({"role": "worker", "lease": -1}, jobs.quiet, "Worker w has given no sign of life for"),
        ({"role": ""}, jobs.quiet, "Worker w runs an earlier release"),
        ({"role": "isolated"}, jobs.quiet, "Worker w runs one suspect job"),
        ({"role": "shared"}, jobs.stop, "Worker w shares its process with a web server"),
    ],
)
def test_workers_that_cannot_be_told(queue, fields, tell, problem):
    queue.register(worker("w", **fields))
    with pytest.raises(InvalidState, match=problem):
        tell("w")
    assert queue.command_of("w") == ""


def test_a_worker_that_shares_its_process_can_be_quiet(queue):
    queue.register(worker("w", role="shared"))
    jobs.quiet("w")
    assert queue.command_of("w") == "quiet"


def test_a_worker_that_ends_meanwhile(queue, monkeypatch):
    queue.register(worker("w", role="worker"))
    monkeypatch.setattr(type(queue), "command", lambda *_: False)
    with pytest.raises(InvalidState, match="Worker w has ended meanwhile"):
        jobs.quiet("w")
