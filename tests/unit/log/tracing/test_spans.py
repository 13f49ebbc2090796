"""Names, attributes, links and errors of spans."""

from __future__ import annotations

from contextvars import Context
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode, TraceFlags

from django_loco.core.job import FAILED, READY, SUCCESSFUL, TRACE, Job, Outcome, error_of, utcnow
from django_loco.log.tracing import spans

ERROR = error_of(ValueError, "on purpose")
HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def job(**fields: Any) -> Job:
    return Job(**{"task_path": "shop.tasks.send", "backend": "default", "queue_name": "emails", **fields})


def claimed(**fields: Any) -> Job:
    return job(**fields).claimed(worker_id="w1", token="t1", at=utcnow())


def started(one: Job) -> Any:
    return Context().run(spans.start, one)


def outcome(one: Job, status: Any, **fields: Any) -> Outcome:
    return Outcome(job=one, status=status, **fields)


def test_a_send_span(traced):
    sending = spans.Sending([one := job()])
    sending.stored(sending.jobs)
    [span] = traced.get_finished_spans()
    assert (span.name, span.kind, span.status.status_code) == ("enqueue emails", SpanKind.PRODUCER, StatusCode.UNSET)
    assert dict(span.attributes) == {
        "messaging.system": "django_loco",
        "messaging.operation.name": "enqueue",
        "messaging.operation.type": "send",
        "messaging.destination.name": "emails",
        "messaging.message.id": one.id,
        "loco.task": "shop.tasks.send",
        "code.function.name": "shop.tasks.send",
    }


def test_a_process_span(traced):
    one = claimed(key="daily@2026-11-28T12:00:00+00:00", worker_ids=("w0",))
    spans.end(started(one), outcome(one, SUCCESSFUL), is_cancelled=False, secrets=())
    [span] = traced.get_finished_spans()
    assert (span.name, span.kind, span.parent, span.links) == ("process emails", SpanKind.CONSUMER, None, ())
    assert dict(span.attributes) == {
        "messaging.system": "django_loco",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "emails",
        "messaging.message.id": one.id,
        "messaging.client.id": "w1",
        "loco.task": "shop.tasks.send",
        "loco.attempt": 2,
        "loco.schedule": "daily",
        "loco.outcome": "successful",
        "code.function.name": "shop.tasks.send",
    }


def test_the_span_of_one_call_is_current_while_its_jobs_are_stored(traced):
    before = context.get_current()
    sending = spans.Sending([job(), job()])
    current = trace.get_current_span()
    sending.stored(sending.jobs)
    [span] = traced.get_finished_spans()
    assert current.get_span_context() == span.context
    assert context.get_current() == before


def test_spans_end_also_if_the_text_of_the_error_cannot_be_read(traced):
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    before, sending, one = context.get_current(), spans.Sending([job()]), claimed()
    with pytest.raises(RuntimeError):
        sending.failed(Broken())
    span = started(one)
    try:
        raise Broken
    except Broken:
        with pytest.raises(RuntimeError):
            spans.end(span, outcome(one, FAILED, error=ERROR), is_cancelled=False, secrets=())
    assert [each.name for each in traced.get_finished_spans()] == ["enqueue emails", "process emails"]
    assert context.get_current() == before


@pytest.mark.parametrize(
    ("name", "is_cancelled", "fields"),
    [
        ("successful", False, {"status": SUCCESSFUL}),
        ("failed", False, {"status": FAILED, "error": ERROR}),
        ("retried", False, {"status": READY, "error": ERROR}),
        ("interrupted", False, {"status": READY, "spent": False}),
        ("snoozed", False, {"status": READY, "spent": False, "snoozed": True}),
        ("cancelled", True, {"status": FAILED, "error": ERROR}),
    ],
)
def test_the_end_of_an_attempt_has_a_name_and_an_error_only_if_it_is_one(name, is_cancelled, fields, traced):
    one = claimed()
    spans.end(started(one), Outcome(job=one, **fields), is_cancelled=is_cancelled, secrets=())
    [span] = traced.get_finished_spans()
    assert span.attributes["loco.outcome"] == name
    if name in ("failed", "retried"):
        assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "ValueError")
        assert [event.name for event in span.events] == ["exception"]
    else:
        assert (span.status.status_code, span.attributes.get("error.type"), span.events) == (StatusCode.UNSET, None, ())


def test_the_text_of_a_failed_span_is_short_and_its_event_has_all_of_it(traced):
    one, text = claimed(), "x" * 5000
    try:
        raise ValueError(text)
    except ValueError:
        spans.end(started(one), outcome(one, FAILED, error=ERROR), is_cancelled=False, secrets=())
    [span] = traced.get_finished_spans()
    assert len(span.status.description) == spans.MAX_DESCRIPTION
    assert span.events[0].attributes["exception.message"] == text


def test_baggage_and_tracestate_reach_the_job(traced):
    there = baggage.set_baggage("customer", "7")
    token = context.attach(there)
    sending = spans.Sending([job()])
    sending.stored(sending.jobs)
    context.detach(token)
    [sent] = sending.jobs
    assert sent.options[TRACE].keys() == {"traceparent", "baggage"}
    headers = {**sent.options[TRACE], "tracestate": "vendor=1"}
    own = Context()
    own.run(spans.start, replace(sent, options={TRACE: headers})).end()
    assert own.run(baggage.get_baggage, "customer") == "7"
    *_, span = traced.get_finished_spans()
    assert (span.parent, span.links[0].context.trace_state.to_header()) == (None, "vendor=1")


def test_with_trace_parent_the_span_is_a_child(traced, settings):
    settings.LOCO = {"TRACE_PARENT": True}
    started(claimed(options={TRACE: {"traceparent": HEADER}})).end()
    [span] = traced.get_finished_spans()
    assert (f"{span.parent.span_id:016x}", span.links) == ("b7ad6b7169203331", ())
    assert f"{span.context.trace_id:032x}" in HEADER


@pytest.mark.parametrize("stored", ["text", 7, None, [], {"traceparent": 7}, {"traceparent": "no header"}])
def test_a_job_whose_trace_somebody_has_edited_is_traced_without_a_link(stored, traced):
    started(claimed(options={TRACE: stored})).end()
    [span] = traced.get_finished_spans()
    assert (span.parent, span.links) == (None, ())


def test_a_trace_that_is_not_sampled_is_carried_all_the_same(traced, monkeypatch):
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    [sent] = Context().run(spans.Sending, [job()]).jobs
    assert int(sent.options[TRACE]["traceparent"][-2:], 16) & TraceFlags.SAMPLED == 0


def test_without_propagators_nothing_is_stored(traced, monkeypatch):
    monkeypatch.setattr(spans.propagate, "inject", lambda carrier, context: None)
    assert Context().run(spans.Sending, [one := job()]).jobs == [one]


def test_one_tracer_serves_all_spans(traced, monkeypatch):
    assert spans._tracer() is spans._tracer()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(shutdown_on_exit=False))
    assert spans._tracer() is not None
