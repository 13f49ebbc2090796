"""Whether a project traces, and what errors of its tracing do to jobs: nothing."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from contextvars import Context
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from opentelemetry import trace

import django_loco
from django_loco.core.job import SUCCESSFUL, TRACE, Job, Outcome
from django_loco.exceptions import RAISED_INTO_JOBS
from django_loco.log import tracing
from django_loco.log.tracing import spans

PACKAGE = Path(django_loco.__file__).parent


def a_job() -> Job:
    return Job(task_path="shop.tasks.send", backend="default")


def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")


def half_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", ModuleType("opentelemetry.trace"))


def without_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)


def other_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the private name that is read because it takes less time."""
    names = ("ProxyTracerProvider", "get_tracer_provider", "use_span")
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", SimpleNamespace(**{n: getattr(trace, n) for n in names}))


@pytest.mark.parametrize("prepare", [absent, half_imported, without_provider, other_version])
def test_a_project_that_does_not_trace_stores_the_jobs_as_they_are(
    prepare: Callable[[pytest.MonkeyPatch], None], monkeypatch
):
    prepare(monkeypatch)
    jobs = [a_job()]
    assert tracing.send(jobs, lambda given: given) is jobs
    assert jobs[0].options == {}
    assert tracing.start(jobs[0]) is None
    assert tracing.with_trace(a_job) is a_job


def test_a_provider_that_is_named_in_the_environment_is_loaded(monkeypatch):
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)
    monkeypatch.setattr(tracing, "_PROVIDER_IS_NAMED", True)
    assert tracing.start(a_job()) is not None


def test_only_one_module_imports_opentelemetry_and_no_module_imports_that_one():
    importing = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "opentelemetry" in (source := path.read_text())
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom) and "opentelemetry" in ast.unparse(node)
    }
    assert importing == {"log/tracing/spans.py"}
    assert "spans" not in (PACKAGE / "log/__init__.py").read_text()


@pytest.mark.parametrize("part", ["__init__", "stored", "failed"])
def test_what_tracing_raises_does_not_keep_a_job_from_being_stored(part, traced, monkeypatch):
    def broken(*args: object) -> None:
        raise RuntimeError("a sampler of others")

    monkeypatch.setattr(spans.Sending, part, broken)
    jobs = [a_job()]
    assert [job.id for job in Context().run(tracing.send, jobs, lambda given: given)] == [jobs[0].id]
    with pytest.raises(ValueError, match="the queue's own"):
        Context().run(tracing.send, jobs, refuse)


@pytest.mark.parametrize("kind", RAISED_INTO_JOBS)
def test_what_ends_a_job_ends_it_in_the_code_of_tracing_as_well(kind, traced, monkeypatch):
    def struck(*args: object) -> None:
        raise kind

    monkeypatch.setattr(spans.Sending, "__init__", struck)
    with pytest.raises(kind):
        Context().run(tracing.send, [a_job()], lambda given: given)


def refuse(jobs: list[Job]) -> list[Job]:
    raise ValueError("the queue's own")


def test_what_tracing_raises_does_not_keep_a_job_from_running(traced, monkeypatch):
    def broken(*args: object) -> None:
        raise RuntimeError("a sampler of others")

    monkeypatch.setattr(spans, "start", broken)
    assert tracing.start(a_job()) is None
    monkeypatch.setattr(spans, "end", broken)
    tracing.end(object(), Outcome(job=a_job(), status=SUCCESSFUL))


def test_a_job_is_stored_with_the_context_of_its_span(traced):
    [stored] = tracing.send([a_job()], lambda given: given)
    [span] = traced.get_finished_spans()
    assert stored.options.keys() == {TRACE}
    assert stored.options[TRACE].keys() == {"traceparent"}
    ids = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-"
    assert stored.options[TRACE]["traceparent"].startswith(ids)
