"""Pauses over all aliases."""

from __future__ import annotations

import pytest

from django_loco import jobs
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim

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
