"""Spans of OpenTelemetry from a request through its job to that job's job, by real workers on each queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from django_loco import jobs
from django_loco.core.compat import task_backends
from django_loco.core.job import TRACE, utcnow
from django_loco.queues import queue_for
from django_loco.tasks import enqueue_many
from django_loco.tasks.enqueueing.tick_jobs import ScheduledCall
from django_loco.worker import in_process
from tests.app import tasks
from tests.app import traced as traced_tasks

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 20.0
#: Each mode, with the durable queue that it uses, if any.
PLACES = ["BackgroundQueue-sqlite", "BackgroundQueue-redis", "BackgroundAsync", "ForegroundBlocking"]


@pytest.fixture(params=PLACES)
def run_all(request: pytest.FixtureRequest, settings: Any) -> Iterator[Callable[[], None]]:
    """A function that runs the jobs that were enqueued to their ends."""
    mode, _, store = request.param.partition("-")
    if store == "redis":
        settings.TASKS = request.getfixturevalue("redis_server").setting("traced")
        queue_for("default").clear()
    settings.WORKER_MODE = mode
    yield drain if mode == "BackgroundQueue" else lambda: None
    in_process.stop(time.monotonic() + SECONDS)


def drain() -> None:
    worker = in_process.worker_for("default", threads=2, coroutines=2, drain=True)
    worker.start()
    assert worker.join(SECONDS)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


class Spans:
    """The spans that have ended, by name, in the order of their starts."""

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter

    def __call__(self, name: str, count: int) -> list[Any]:
        """Wait until there are ``count`` spans with this name, and return them."""
        until(lambda: len(self._named(name)) >= count)
        found = self._named(name)
        assert len(found) == count
        return sorted(found, key=lambda span: span.start_time)

    def _named(self, name: str) -> list[Any]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]


@pytest.fixture
def spans(traced: Any) -> Spans:
    return Spans(traced)


def request_enqueues(action: Callable[[], object]) -> None:
    with trace.get_tracer("site").start_as_current_span("GET /"):
        action()


def is_child(span: Any, parent: Any) -> bool:
    return span.parent is not None and span.parent.span_id == parent.context.span_id and is_in_trace_of(span, parent)


def is_in_trace_of(span: Any, other: Any) -> bool:
    return bool(span.context.trace_id == other.context.trace_id)


def links(span: Any) -> list[int]:
    return [link.context.span_id for link in span.links]


@pytest.mark.parametrize("task", [traced_tasks.relay, traced_tasks.arelay], ids=["sync", "async"])
def test_a_request_its_job_and_the_jobs_job_are_connected_by_links(task, spans, run_all):
    request_enqueues(lambda: task.enqueue(1))
    run_all()
    [request], (sent, sent_by_job) = spans("GET /", 1), spans("enqueue default", 2)
    (job, child), (work, _) = spans("process default", 2), spans("work", 2)
    assert is_child(sent, request)
    assert (job.parent, links(job)) == (None, [sent.context.span_id])
    assert is_child(work, job)
    assert is_child(sent_by_job, work)
    assert (child.parent, links(child)) == (None, [sent_by_job.context.span_id])
    assert len({each.context.trace_id for each in (request, job, child)}) == 3


@pytest.mark.parametrize("task", [traced_tasks.relay, traced_tasks.arelay], ids=["sync", "async"])
def test_with_trace_parent_they_are_one_trace(task, spans, run_all, settings):
    settings.LOCO = {**settings.LOCO, "TRACE_PARENT": True}
    request_enqueues(lambda: task.enqueue(1))
    run_all()
    [request], (sent, sent_by_job) = spans("GET /", 1), spans("enqueue default", 2)
    (job, child), (work, work_of_child) = spans("process default", 2), spans("work", 2)
    chain = [request, sent, job, work, sent_by_job, child, work_of_child]
    assert all(is_child(span, parent) for parent, span in pairwise(chain))
    assert links(job) == links(child) == []


@pytest.mark.parametrize("task", [traced_tasks.fail_with, traced_tasks.afail_with], ids=["sync", "async"])
def test_each_attempt_is_a_span_with_its_error_and_without_secrets(task, spans, run_all, settings):
    settings.LOCO = {**settings.LOCO, "REDACT": ["password"]}
    result = task.enqueue(password="hunter2000")
    run_all()
    attempts, [sent] = spans("process default", 2), spans("enqueue default", 1)
    assert [span.attributes["loco.attempt"] for span in attempts] == [1, 2]
    assert [span.attributes["loco.outcome"] for span in attempts] == ["retried", "failed"]
    for span in attempts:
        assert links(span) == [sent.context.span_id]
        assert (span.kind, span.status.status_code) == (SpanKind.CONSUMER, StatusCode.ERROR)
        assert (span.attributes["error.type"], span.attributes["messaging.message.id"]) == ("ValueError", result.id)
        [event] = span.events
        assert (event.name, event.attributes["exception.type"]) == ("exception", "ValueError")
        assert "Traceback" in event.attributes["exception.stacktrace"]
        assert "hunter2000" not in f"{event.attributes} {span.status.description} {span.attributes}"


def test_the_jobs_of_one_call_share_a_span(spans, run_all):
    results = enqueue_many(tasks.add, [(1, 2), (3, 4), (5, 6)])
    run_all()
    [sent], processed = spans("enqueue default", 1), spans("process default", 3)
    assert sent.attributes["messaging.batch.message_count"] == 3
    assert "messaging.message.id" not in sent.attributes
    assert {tuple(links(span)) for span in processed} == {(sent.context.span_id,)}
    assert {span.attributes["messaging.message.id"] for span in processed} == {result.id for result in results}
    assert {span.attributes["loco.outcome"] for span in processed} == {"successful"}


def test_each_tick_has_a_span_that_names_its_schedule(spans, run_all):
    ticks = [ScheduledCall(tasks.add, (1, 2), {}, f"{name}@1", utcnow()) for name in ("hourly", "daily")]
    assert all(task_backends["default"].enqueue_ticks(ticks))
    run_all()
    assert task_backends["default"].enqueue_ticks(ticks) == [None, None]
    *sent, late, again = spans("enqueue default", 4)
    processed = spans("process default", 2)
    assert [span.attributes["loco.schedule"] for span in sent] == ["hourly", "daily"]
    assert {span.attributes["loco.schedule"]: links(span) for span in processed} == {
        span.attributes["loco.schedule"]: [span.context.span_id] for span in sent
    }
    assert [span.attributes.get("loco.duplicate") for span in (*sent, late, again)] == [None, None, True, True]


def test_nothing_is_stored_by_a_project_that_does_not_trace():
    result = tasks.add.enqueue(1, 2)
    assert TRACE not in queue_for("default").get(result.id).options


def test_users_see_neither_metadata_nor_options_of_the_trace(traced):
    result = tasks.annotate.using(max_attempts=3, metadata={"a": 1}).enqueue({})
    stored = queue_for("default").get(result.id)
    assert set(stored.options[TRACE]) == {"traceparent"}
    assert set(stored.overrides) == {"max_attempts"}
    assert stored.metadata == '{"a":1}'
    drain()
    result.refresh()
    assert result.metadata == {"a": 1}


def test_a_signed_job_is_traced(spans, settings):
    settings.LOCO = {**settings.LOCO, "SIGN": True}
    tasks.add.enqueue(1, 2)
    drain()
    [span] = spans("process default", 1)
    assert span.attributes["loco.outcome"] == "successful"


def test_a_job_that_waits_for_the_commit_belongs_to_the_span_that_enqueued_it(redis_server, settings, spans):
    settings.TASKS = redis_server.setting("traced")
    queue_for("default").clear()
    with transaction.atomic(), trace.get_tracer("site").start_as_current_span("view"):
        tasks.add.enqueue(1, 2)
    [view], [sent] = spans("view", 1), spans("enqueue default", 1)
    assert is_child(sent, view)
    assert sent.start_time > view.end_time


def test_a_job_that_is_run_again_is_linked_to_the_new_call(spans):
    first = tasks.add.enqueue(1, 2)
    drain()
    jobs.run_again(first.id)
    drain()
    _, again = spans("enqueue default", 2)
    _, processed = spans("process default", 2)
    assert links(processed) == [again.context.span_id]


def test_a_job_that_goes_back_when_its_worker_stops_is_interrupted(spans):
    tasks.gate.clear()
    result = tasks.blocked.enqueue()
    worker = in_process.worker_for("default", threads=2, coroutines=2)
    worker.start()
    until(lambda: worker.health()["running"] == 1)
    worker.stop(time.monotonic())
    [span] = spans("process default", 1)
    tasks.gate.set()
    assert worker.join(SECONDS)
    assert span.attributes["messaging.message.id"] == result.id
    assert (span.attributes["loco.outcome"], span.status.status_code) == ("interrupted", StatusCode.UNSET)


def test_a_job_that_somebody_cancels_is_no_error(spans):
    result = traced_tasks.alinger.enqueue()
    worker = in_process.worker_for("default", threads=2, coroutines=2)
    worker.start()
    until(lambda: worker.health()["running"] == 1)
    jobs.cancel(result.id)
    [span] = spans("process default", 1)
    worker.stop(time.monotonic() + SECONDS)
    assert worker.join(SECONDS)
    assert (span.attributes["loco.outcome"], span.status.status_code) == ("cancelled", StatusCode.UNSET)


def test_an_error_of_the_queue_is_an_error_of_the_span(spans, monkeypatch):
    def refuse(jobs: object) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(queue_for("default"), "enqueue", refuse)
    with pytest.raises(RuntimeError, match="no room"):
        tasks.add.enqueue(1, 2)
    [span] = spans("enqueue default", 1)
    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "RuntimeError")
    assert trace.get_current_span() is trace.INVALID_SPAN
