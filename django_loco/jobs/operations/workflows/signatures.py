"""Signatures, which are calls that are not enqueued yet, and the base class of all parts of workflows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Never

from ....core.compat import Task
from ..attribute_hints import Hinted
from .nodes import Takes


class Part(Hinted, ABC):
    """A part of a workflow: a signature, a chain or a group."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __or__(self, other: object) -> Never:
            raise TypeError("Parts of workflows are not joined by |. Write chain(first, second).enqueue().")

        def __call__(self, *args: object, **kwargs: object) -> Never:  # noqa: D102 - it only refuses
            raise TypeError(f"{self!r} cannot be called. Write chain(...).enqueue() or group(...).enqueue().")

    @abstractmethod
    def lay(self, add: Callable[[Signature, Takes], str], before: Takes) -> Takes:
        """Add the nodes of this part after the nodes ``before``; return the last nodes of the part.

        ``add`` takes a signature and the nodes that it comes after, and returns the name of the new node.
        """

    @property
    @abstractmethod
    def first_task(self) -> Task[..., Any]:
        """The task of its first node."""


class Signature(Part):
    """A call of a task that is not enqueued yet: ``task.s(1)``, or ``task.si(1)``.

    In a chain, the result of the part before it is put before its arguments, except with ``si``.
    """

    __slots__ = ("args", "is_immutable", "kwargs", "task")
    hinted_as = "signature"

    def __init__(
        self,
        task: Task[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        is_immutable: bool = False,
    ) -> None:
        """``is_immutable``: it takes no result."""
        self.task, self.args, self.kwargs = task, tuple(args), dict(kwargs or {})
        self.is_immutable = is_immutable

    def __repr__(self) -> str:
        given = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.kwargs.items())]
        return f"{self.task.module_path}.{'si' if self.is_immutable else 's'}({', '.join(given)})"

    def lay(self, add: Callable[[Signature, Takes], str], before: Takes) -> Takes:
        """Add it as a node."""
        return add(self, before)

    @property
    def first_task(self) -> Task[..., Any]:
        """Its task."""
        return self.task
