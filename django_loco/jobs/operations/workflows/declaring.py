"""Declares nodes: a node is a call, and the nodes that it waits for."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ....core.compat import InvalidTask, Task
from ....core.job import Job
from ....core.serialization import encode_call
from ....core.validation import short
from ...stores import JobBackend
from .nodes import Place, node_id, placed
from .signatures import Signature


class Node:
    """A node of a workflow, to be named in ``after=``."""

    __slots__ = ("id", "name", "workflow")

    def __init__(self, workflow: str, name: str) -> None:
        self.workflow, self.name = workflow, name
        self.id = node_id(workflow, name)
        """The id of its job."""

    def __repr__(self) -> str:
        return f"<node {self.name!r} of workflow {self.workflow}>"


#: The values of ``after=``: nodes, their names, or lists of these.
After = Node | str | Iterable[Any]


def required_task(task: object) -> Task[..., Any]:
    """Return ``task``. Raises ``InvalidTask`` if it is no task."""
    if isinstance(task, Task):
        return task
    if isinstance(task, Signature):
        raise InvalidTask(f"{short(task)} is a signature and no task: give the task, and its arguments by themselves.")
    if inspect.ismethod(task) and isinstance(owner := task.__self__, Task):
        raise InvalidTask(
            f"{owner.module_path}.{task.__name__} is a method of a task: give {owner.module_path} itself."
        )
    raise InvalidTask(f"{short(task)} is no task: decorate the function with @task.")


def node_of(backend: JobBackend, workflow: str, signature: Signature, place: Place) -> Job:
    """Return the job of a node that waits. Raises ``InvalidTask`` or ``InvalidArguments``."""
    task, args, kwargs = signature.task, signature.args, signature.kwargs
    if task.backend != backend.alias:
        raise InvalidTask(
            f"{task.module_path} has the backend {task.backend!r}, and the workflow is in {backend.alias!r}: all its "
            "nodes are in one store. Give backend= to the workflow, or to using()."
        )
    if task.run_after is not None or getattr(task, "run_after_delay", None) is not None:
        raise InvalidTask(f"{task.module_path} has a run_after; a node is due when those have ended that it waits for.")
    job = backend.job_of(task, args if place.takes is None else (None, *args), kwargs)
    if job.unique_key is not None:
        raise InvalidTask(
            f"{task.module_path} is unique, and a node must not be left out as a duplicate. Use "
            "using(unique=False), or let a node enqueue it."
        )
    if place.takes is not None:
        job = replace(job, arguments=encode_call(job.task_path, args, kwargs))
    return placed(job, workflow, place)
