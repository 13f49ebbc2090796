"""Makes spans by OpenTelemetry's conventions for messaging systems. Imported only if a project traces.

A queue is the destination, a job the message. One ``enqueue()`` or ``enqueue_many()`` is one *send* span; an attempt is
a *process* span. Attributes that are not in the conventions begin with ``loco.``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, TracerProvider

from ... import __version__
from ...conf import loco_settings
from ...core.compat import TaskError
from ...core.job import TRACE, Job, Outcome
from ..redaction import scrubbed

SYSTEM = "django_loco"
#: The most characters in the description of a failed span. The span's event has the full text.
MAX_DESCRIPTION = 1000


class Sending:
    """The spans of jobs that are about to be stored: one for each call, and one for each tick.

    1. The spans start. If there is only one, it becomes the current span.
    2. ``jobs`` are stored; each carries the context of its span.
    3. ``stored`` or ``failed`` ends the spans.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs: list[Job] = []
        self._sent: list[_Sent] = []
        for _, group in groupby(jobs, key=lambda job: (job.queue_name, job.task_path, job.key)):
            self._start(list(group))
        self._token = context.attach(self._sent[0].context) if len(self._sent) == 1 else None

    def _start(self, jobs: Sequence[Job]) -> None:
        span = _tracer().start_span(
            f"enqueue {jobs[0].queue_name}",
            kind=SpanKind.PRODUCER,
            attributes=_attributes(jobs[0], "enqueue", "send") | _message(jobs),
        )
        here = trace.set_span_in_context(span)
        carrier: dict[str, str] = {}
        propagate.inject(carrier, here)
        self._sent.append(_Sent(span, here, frozenset(job.id for job in jobs)))
        self.jobs += [replace(job, options={**job.options, TRACE: carrier}) for job in jobs] if carrier else jobs

    def stored(self, accepted: Sequence[Job]) -> None:
        """End the spans. The job of a tick that was fired before is not among ``accepted``."""
        ids = {job.id for job in accepted}
        try:
            for sent in self._sent:
                if ids.isdisjoint(sent.ids):
                    sent.span.set_attribute("loco.duplicate", True)
        finally:
            self._end()

    def failed(self, error: BaseException) -> None:
        """End the spans with ``error``, which kept the jobs from being stored."""
        try:
            for sent in self._sent:
                sent.span.record_exception(error)
                _set_error(sent.span, _type_of(error), str(error))
        finally:
            self._end()

    def _end(self) -> None:
        if self._token is not None:
            context.detach(self._token)
        for sent in self._sent:
            sent.span.end()


class _Sent(NamedTuple):
    """The span of a call, its context, and the ids of the jobs."""

    span: Span
    context: context.Context
    ids: frozenset[str]


def with_context(action: Callable[[], object]) -> Callable[[], object]:
    """Return ``action`` so that it runs in the context that is current now."""
    here = context.get_current()

    def in_context() -> object:
        token = context.attach(here)
        try:
            return action()
        finally:
            context.detach(token)

    return in_context


def start(job: Job) -> Span:
    """Start the span of an attempt at ``job`` and make it current. The calling context must be the job's own."""
    there = propagate.extract(_carrier(job), context.Context())
    origin, links = trace.get_current_span(there).get_span_context(), []
    if origin.is_valid and not loco_settings().TRACE_PARENT:
        # A new trace. Other things that the propagators carry, such as baggage, are still taken from the job.
        links, there = [Link(origin)], trace.set_span_in_context(trace.INVALID_SPAN, there)
    attributes = _attributes(job, "process", "process") | {
        "messaging.message.id": job.id,
        "messaging.client.id": job.worker_id or "",
        "loco.attempt": job.attempt,
    }
    span = _tracer().start_span(
        f"process {job.queue_name}", there, kind=SpanKind.CONSUMER, attributes=attributes, links=links
    )
    context.attach(trace.set_span_in_context(span, there))
    return span


def end(span: Span, outcome: Outcome, is_cancelled: bool, secrets: Sequence[str]) -> None:
    """End the ``span`` of an attempt that had this ``outcome``."""
    name = "cancelled" if is_cancelled else outcome.kind
    span.set_attribute("loco.outcome", name)
    try:
        if name in ("failed", "retried") and outcome.error is not None:
            _add_error(span, outcome.error, sys.exception(), secrets)
    finally:
        span.end()


def _carrier(job: Job) -> dict[str, str]:
    """Return the headers that ``Sending`` put into ``job``; nothing if somebody has edited the stored text."""
    stored = job.options.get(TRACE)
    if not isinstance(stored, Mapping):
        return {}
    return {name: header for name, header in stored.items() if isinstance(header, str)}


def _add_error(span: Span, stored: TaskError, error: BaseException | None, secrets: Sequence[str]) -> None:
    """Add an exception as the job stores it: cut and without secrets. ``Span.record_exception`` would show them."""
    kind = stored.exception_class_path.removeprefix("builtins.")
    text = "" if error is None else scrubbed(str(error), secrets)
    event = {"exception.type": kind, "exception.message": text, "exception.stacktrace": stored.traceback}
    span.add_event("exception", event)
    _set_error(span, kind, text)


def _set_error(span: Span, kind: str, text: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, f"{kind}: {text}"[:MAX_DESCRIPTION]))


def _type_of(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def _attributes(job: Job, name: str, kind: str) -> dict[str, Any]:
    """Return the attributes that every span has: ``name`` and ``kind`` of the operation, queue and task."""
    attributes = {
        "messaging.system": SYSTEM,
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": job.queue_name,
        "loco.task": job.task_path,
        "code.function.name": job.task_path,
    }
    return attributes | ({"loco.schedule": job.series} if job.series else {})


def _message(jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the id of a single job, or the number of several jobs."""
    return {"messaging.message.id": jobs[0].id} if len(jobs) == 1 else {"messaging.batch.message_count": len(jobs)}


def _tracer() -> Tracer:
    return _tracer_of(trace.get_tracer_provider())


@lru_cache(maxsize=1)  # the SDK makes a new tracer at each call
def _tracer_of(provider: TracerProvider) -> Tracer:
    return provider.get_tracer(SYSTEM, __version__)
