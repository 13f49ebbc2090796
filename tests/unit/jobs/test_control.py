"""Pauses, workers and numbers, over all aliases."""

from __future__ import annotations

import pytest

from django_loco import jobs
from django_loco.core.job import utcnow
from django_loco.exceptions import InvalidState, QueueUnavailable
from django_loco.queues import Claim, queue_for
from django_loco.queues.workers import WorkerInfo

CLAIM = Claim(worker_id="w", lease=60, threads=10)


def test_a_paused_queue_gives_no_jobs(stored, queue):
    job = stored(queue_name="emails")
    jobs.pause(queue="emails")
    assert queue.fetch(CLAIM) == []
    assert jobs.resume(queue="emails")
    assert [each.id for each in queue.fetch(CLAIM)] == [job.id]
    assert not jobs.resume(queue="emails")


def test_every_alias_that_has_the_queue_is_paused():
    jobs.pause(queue="emails")
    assert jobs.paused() == {"default": ["emails"], "other": ["emails"]}
    assert jobs.resume(queue="emails", backend="other")
    assert jobs.paused() == {"default": ["emails"]}
    assert jobs.paused(backend="other") == {}


@pytest.mark.parametrize("operation", ["pause", "resume"])
def test_a_store_that_is_away_does_not_keep_the_others_from_it(monkeypatch, queue, operation):
    def away(name: str) -> None:
        raise QueueUnavailable("it hangs")

    if operation == "resume":
        jobs.pause(queue="emails")
    with monkeypatch.context() as patch:
        patch.setattr(queue, operation, away)
        with pytest.raises(QueueUnavailable) as caught:
            getattr(jobs, operation)(queue="emails")
        with pytest.raises(QueueUnavailable, match=r"^it hangs$"):
            getattr(jobs, operation)(queue="emails", backend="default")
    state = "is paused" if operation == "pause" else "is not paused any more"
    assert str(caught.value) == (
        f"The queue 'emails' {state} in TASKS['other'], but not in TASKS['default'], which cannot be reached. "
        "Run it again for it. it hangs"
    )
    assert [*jobs.paused()] == (["other"] if operation == "pause" else ["default"])


def test_an_alias_that_lacks_the_queue_is_not_paused():
    jobs.pause(queue="reports")
    assert jobs.paused() == {"other": ["reports"]}
    jobs.pause(queue="default", backend="default")
    assert jobs.paused() == {"default": ["default"], "other": ["reports"]}


def test_a_queue_that_nobody_has_is_a_mistake(stored):
    with pytest.raises(ValueError, match=r"no alias of TASKS has a queue 'email'\. Did you mean 'emails'\?"):
        jobs.pause(queue="email", backend="default")
    stored(queue_name="email")
    jobs.pause(queue="email", backend="default")
    assert jobs.paused() == {"default": ["email"]}


@pytest.mark.parametrize("name", ["", 5, "a\n"])
def test_what_is_no_name(name):
    with pytest.raises(ValueError, match="it must be text of 1 to 200 printable characters"):
        jobs.pause(queue=name)


@pytest.mark.parametrize(("kind", "name"), [("task", "shop.tasks.send"), ("tag", "bulk")])
def test_the_jobs_of_a_paused_task_or_tag_wait(stored, queue, kind, name):
    job = stored(task="shop.tasks.send", tags=("bulk",))
    jobs.pause(**{kind: name})
    assert jobs.paused(kind) == {"default": [name], "other": [name]}
    assert jobs.paused() == {}
    assert queue.fetch(CLAIM) == []
    assert jobs.resume(**{kind: name}, backend="default")
    assert jobs.paused(kind) == {"other": [name]}
    assert [each.id for each in queue.fetch(CLAIM)] == [job.id]
    assert jobs.resume(**{kind: name})
    assert not jobs.resume(**{kind: name})


@pytest.mark.parametrize("given", [{}, {"queue": "emails", "task": "a.b"}])
def test_one_thing_is_paused_at_a_time(given):
    with pytest.raises(ValueError, match="give one of queue, task and tag"):
        jobs.pause(**given)


def test_a_kind_that_cannot_be_paused():
    with pytest.raises(ValueError, match=r"'tasks' cannot be paused\. Did you mean 'task'\?"):
        jobs.paused("tasks")
    with pytest.raises(ValueError, match="task is ''; it must be text"):
        jobs.pause(task="")


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


def test_numbers_per_queue(stored):
    for state in ("waiting", "scheduled", "retrying", "running", "failed", "done"):
        stored(state, queue_name="emails", age=100)
    stored("scheduled", backend="other")
    jobs.pause(queue="reports", backend="other")
    emails, default, reports = jobs.stats()
    assert (emails.backend, emails.queue) == ("default", "emails")
    assert (emails.ready, emails.running, emails.failed, emails.done) == (3, 1, 1, 1)
    assert 100 <= emails.oldest_due_age < 160
    assert not emails.is_paused
    assert (default.backend, default.queue, default.ready, default.oldest_due_age) == ("other", "default", 1, None)
    assert (reports.queue, reports.ready, reports.is_paused) == ("reports", 0, True)
    assert jobs.stats(backend="other") == [default, reports]


def test_numbers_are_capped(stored):
    for _ in range(5):
        stored()
    [stats] = jobs.stats(limit=3)
    assert stats.ready.text == "3+"
    assert jobs.stats(limit=5)[0].ready.text == "5"


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
