"""Traces jobs with OpenTelemetry in projects that have set a ``TracerProvider``; other projects never import it.

``send`` makes a span around the storing of jobs, and puts the context of the span into the options of each job: the
headers of the propagators that the project has configured, such as ``traceparent``. These headers are not in the
metadata, because the metadata belong to the project. ``start`` and ``end`` make a span for each attempt, with a link to
the context of the sending span.

The functions here decide whether a project traces; ``spans`` makes the spans. An error in tracing does not reach the
job.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from ...core.job import Job, Outcome
from ...exceptions import RAISED_INTO_JOBS
from ..safe import get_logger

logger = get_logger(__name__)

#: Whether the API itself will set the provider when it is first asked for it.
_PROVIDER_IS_NAMED = "OTEL_PYTHON_TRACER_PROVIDER" in os.environ


def send(jobs: list[Job], store: Callable[[list[Job]], list[Job]]) -> list[Job]:
    """Return ``store(jobs)``, the accepted jobs. Makes a span for each call and for each tick of a schedule."""
    sending = None if (spans := _spans()) is None else _attempted(spans.Sending, jobs)
    if sending is None:
        return store(jobs)
    try:
        accepted = store(sending.jobs)
    except BaseException as error:
        _attempted(sending.failed, error)
        raise
    _attempted(sending.stored, accepted)
    return accepted


def with_trace(action: Callable[[], object]) -> Callable[[], object]:
    """Return ``action`` as a function whose spans will be children of the span that is current now."""
    spans = _spans()
    return action if spans is None else spans.with_context(action)


def start(job: Job) -> Any:
    """Start the span of an attempt at ``job`` and make it current; ``None`` if the project does not trace."""
    return None if (spans := _spans()) is None else _attempted(spans.start, job)


def end(span: Any, outcome: Outcome, *, is_cancelled: bool = False, secrets: Sequence[str] = ()) -> None:
    """End the ``span`` of an attempt. The exception that is being handled is its error, without ``secrets``.

    ``is_cancelled``: somebody has cancelled the job.
    """
    if span is not None and (spans := _spans()) is not None:
        _attempted(spans.end, span, outcome, is_cancelled, secrets)


def _spans() -> Any:
    """Return the module that makes spans; ``None`` if nobody has set a ``TracerProvider``."""
    api: Any = sys.modules.get("opentelemetry.trace")
    if api is None:  # called several times for each job, so the fastest test comes first
        return None
    # Does the same as the API's function, but does not read the environment, which would take a hundredth of a job's
    # time.
    if getattr(api, "_TRACER_PROVIDER", api) is None and not _PROVIDER_IS_NAMED:
        return None
    if not hasattr(api, "use_span"):  # another thread is still importing it
        return None
    return None if isinstance(api.get_tracer_provider(), api.ProxyTracerProvider) else import_module(".spans", __name__)


def _attempted(step: Callable[..., Any], *args: Any) -> Any:
    """Return ``step(*args)``; ``None`` if it raises, since samplers and processors are foreign code."""
    try:
        return step(*args)
    except RAISED_INTO_JOBS:
        raise
    except Exception as error:  # noqa: BLE001 - tracing must not fail a job
        logger.debug("Could not trace: %s", error)
        return None
