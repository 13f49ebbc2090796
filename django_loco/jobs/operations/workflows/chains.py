"""Chains and groups of signatures: ``chain(a.s(1), b.s())``, ``group(a.s(1), a.s(2))``, and one within the other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from asgiref.sync import sync_to_async

from ....core.compat import Task
from ....core.validation import short
from ....exceptions import InvalidArguments
from .nodes import Takes
from .signatures import Part, Signature
from .workflow import Workflow


class _Parts(Part):
    """Several parts of a workflow. Nothing is stored before ``enqueue``."""

    hinted_as = "parts"

    def __init__(self, *parts: Any) -> None:
        """``parts``, or one iterable of parts. Raises ``InvalidArguments`` if there are none, or for another object."""
        if len(parts) == 1 and isinstance(parts[0], Iterable):
            parts = tuple(parts[0])
        kind = type(self).__name__
        if not parts:
            raise InvalidArguments(f"{kind}() has no parts: give it at least one signature, such as task.s(1).")
        for each in parts:
            if isinstance(each, Task):
                name = each.name
                raise InvalidArguments(
                    f"The task {each.module_path} in {kind}() has no arguments: write {name}.s(...), or {name}.s()."
                )
            if not isinstance(each, Part):
                raise InvalidArguments(
                    f"{short(each)} in {kind}() is neither a signature, task.s(...), nor a chain or group."
                )
        self.parts: tuple[Part, ...] = parts

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.parts))})"

    @abstractmethod
    def lay(self, add: Callable[[Signature, Takes], str], before: Takes) -> Takes:
        """See ``Part``."""

    @property
    def first_task(self) -> Task[..., Any]:
        """The task of its first node."""
        return self.parts[0].first_task

    def enqueue(self, name: str = "") -> Workflow:
        """Enqueue it as a workflow, and return the workflow, with a ``name`` for people. Raises as ``Workflow.add``."""
        flow = Workflow(name or type(self).__name__, backend=self.first_task.backend)
        flow.add(self)
        flow.enqueue()
        return flow

    async def aenqueue(self, name: str = "") -> Workflow:
        """``enqueue`` for async code."""
        return await sync_to_async(self.enqueue, thread_sensitive=True)(name)


class chain(_Parts):  # noqa: N801 - as it is written
    """Calls one after the other: each gets the result of the one before it as its first argument.

    After a group it gets the list of the results of the group's parts.
    """

    def lay(self, add: Callable[[Signature, Takes], str], before: Takes) -> Takes:
        """Add the parts, each after the one before it."""
        for part in self.parts:
            before = part.lay(add, before)
        return before


class group(_Parts):  # noqa: N801 - as it is written
    """Calls that run beside each other."""

    def lay(self, add: Callable[[Signature, Takes], str], before: Takes) -> Takes:
        """Add the parts, each after ``before``."""
        return [part.lay(add, before) for part in self.parts]
