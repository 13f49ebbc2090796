"""The functions of ``jobs`` for workflows."""

from __future__ import annotations

from collections.abc import Iterator

from .workflow import Workflow


def workflow(workflow_id: str, /, *, backend: str | None = None) -> Workflow:
    """Return a stored workflow. Searches the alias ``backend``, or all. Raises ``BatchDoesNotExist``."""
    return Workflow.get(workflow_id, backend=backend)


def workflows(*, backend: str | None = None) -> Iterator[Workflow]:
    """Yield the workflows of an alias, or of all, the newest first; without counts unless they have finished."""
    return Workflow.all(backend=backend)
