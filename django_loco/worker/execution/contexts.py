"""The ``contextvars`` of jobs: no job sees those of another one, of a request, or of the thread that runs it.

A copy of the thread's context would not do. Its values are shared with the original, so that a job could change an
object in it (the scope of an error tracker, a dictionary of log fields) for all jobs that follow.
"""

from __future__ import annotations

from contextvars import Context

from ...core.compat import task_backends
from ...log.labels import bind


def context_for_jobs(alias: str) -> Context:
    """Return a context of which each job runs in a copy. It holds the log's component and the Tasks backend alone.

    Django keeps its backends in the context, and would make a new one for each job. Call it in the thread that is to
    use the context: what asgiref keeps in a context is not visible in other threads.
    """
    context = Context()
    context.run(_prepare, alias)
    return context


def _prepare(alias: str) -> None:
    bind(component="worker")
    task_backends[alias]
