"""The ``contextvars`` of jobs: no job sees those of another job, of a request, or of the thread that runs it.

A copy of the thread's context is not enough. Its values are shared with the original, so a job could change an object
in it (the scope of an error tracker, a dictionary of log fields) for all jobs that follow.
"""

from __future__ import annotations

from contextvars import Context

from ...core.compat import task_backends
from ...log.labels import bind


def context_for_jobs(alias: str) -> Context:
    """Return a context of which each job gets a copy. It has the log's component and the Tasks backend only.

    Django keeps its backends in the context, and would make a new one for each job. Call this in the thread that uses
    the context, because values that asgiref keeps in a context are not visible in other threads.
    """
    context = Context()
    context.run(_prepare, alias)
    return context


def _prepare(alias: str) -> None:
    bind(component="worker")
    task_backends[alias]
