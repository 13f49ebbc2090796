"""Workflows as users write them: ``flow = Workflow(); x = flow.add(extract, 1); flow.add(load, after=[x])``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from asgiref.sync import sync_to_async

from ....core.compat import Task
from ....core.job import Job
from ....core.on_commit import SinceThen
from ....core.serialization import require_batch_size
from ....core.validation import NAME_REQUIREMENT, did_you_mean, is_name, short
from ....exceptions import BatchDoesNotExist, InvalidArguments, InvalidState
from ....queues.records.batches import WORKFLOW
from ....queues.records.workflows import ON_FAILED, OnFailed
from ..batches.batch import Batch
from .declaring import After, Node, node_of, required_task
from .loaded_workflow import LoadedWorkflow
from .nodes import Place, Takes, node_id
from .results import names_in
from .signatures import Part, Signature
from .storing import add_stored, run_inline, store


class Workflow(LoadedWorkflow):
    """Jobs that wait for each other.

    1. ``add`` declares a node, and the nodes that it waits for. These were added before, so that there can be no loop.
    2. ``enqueue`` stores all of them, or none. Nodes that wait for nothing run.
    3. A node runs when the last node that it waits for has ended. ``context.results`` has the values of earlier nodes.
    4. When no node waits or runs, the workflow has finished. Its callbacks are enqueued as after a batch.

    While it runs, nodes may add nodes: ``context.workflow.add(..., name=...)``. Its counts are from the time at which
    it was loaded: see ``refresh``.
    """

    def __init__(
        self,
        name: str = "",
        *,
        on_success: Task[..., Any] | None = None,
        on_failure: Task[..., Any] | None = None,
        on_finish: Task[..., Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        backend: str | None = None,
    ) -> None:
        """Stores nothing yet. For the arguments and errors see ``Batch``: the nodes are the members of a batch.

        Without ``backend`` and callbacks, the workflow has the alias of its first node.
        """
        callbacks = {"on_success": on_success, "on_failure": on_failure, "on_finish": on_finish}
        self._batch = Batch(name, **callbacks, metadata=metadata, backend=backend, kind=WORKFLOW)
        self._has_alias = backend is not None or any(callbacks.values())
        self._jobs: dict[str, Job] = {}
        self._numbers: Counter[str] = Counter()
        self._stored: SinceThen | None = None

    @classmethod
    def get(cls, workflow_id: str, *, backend: str | None = None) -> Self:
        """Return a stored workflow. Searches the alias ``backend``, or all. Raises ``BatchDoesNotExist``."""
        batch = Batch.get(workflow_id, backend=backend)
        if batch.record.kind != WORKFLOW:
            raise BatchDoesNotExist(f"{workflow_id} is a batch, and no workflow: use Batch.get().")
        return cls._of(batch)

    @classmethod
    async def aget(cls, workflow_id: str, *, backend: str | None = None) -> Self:
        """``get`` for async code."""
        return await sync_to_async(cls.get, thread_sensitive=True)(workflow_id, backend=backend)

    @classmethod
    def all(cls, *, backend: str | None = None) -> Iterator[Self]:
        """Yield the workflows of an alias, or of all, the newest first; without counts unless they have finished."""
        yield from map(cls._of, Batch.all(backend=backend, kind=WORKFLOW))

    @classmethod
    def _of(cls, batch: Batch) -> Self:
        flow = cls(backend=batch.backend)
        flow._batch, flow._stored = batch, SinceThen()
        return flow

    def add(
        self,
        what: Task[..., Any] | Part,
        /,
        *args: Any,
        after: After = (),
        on_failed: OnFailed = "cancel",
        name: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Add a node that calls a task with these arguments; return the ``Node``.

        A signature is added as one node. Of a chain or group, all nodes are added, and the last ones are returned: a
        ``Node``, or a list.

        Args:
            what: a task, a signature, a chain, or a group. A task that has an argument with a name below needs a
                signature: ``task.s(...)``.
            args: the arguments of a task.
            after: the nodes that it waits for, or their names. They were added before.
            on_failed: what happens when one of these fails, is cancelled, expires or is deleted. ``"cancel"``: this one
                is cancelled. ``"run"``: this one runs at once. ``"ignore"``: this one runs when the others have ended.
            name: the name of the node; by default the name of the task's function. Required when the workflow runs, so
                that a node which is run again adds the same node.
            kwargs: the keyword arguments of a task.

        Raises ``InvalidTask``, ``InvalidArguments`` and, if the workflow takes no more nodes, ``BatchFinished``. When
        the workflow runs, a node that is added inside a transaction is stored with the commit, like a job. Then errors
        that depend on the store are raised at the commit.
        """
        if on_failed not in ON_FAILED:
            raise InvalidArguments(f"on_failed is {short(on_failed)}.{did_you_mean(str(on_failed), ON_FAILED)}")
        part = what if isinstance(what, Part) else Signature(required_task(what), args, kwargs)
        if part is what and (args or kwargs):
            raise InvalidArguments(f"{part!r} has its arguments already. Give add() a task to give it arguments.")
        self._require_addable(part, name)
        upstream = tuple(dict.fromkeys(self._names(after)))
        known = len(self._jobs)

        def lay(signature: Signature, before: Takes) -> str:
            place = Place(self._name_of(signature, name), upstream, on_failed)
            if before is not None:
                takes = None if signature.is_immutable else before
                place = Place(place.name, tuple(dict.fromkeys(names_in(before))), takes=takes)
            self._add(signature, place)
            return place.name

        try:
            return self._nodes(part.lay(lay, None))
        except BaseException:  # all nodes of a part, or none
            while len(self._jobs) > known:
                self._jobs.popitem()
            raise

    async def aadd(self, what: Task[..., Any] | Part, /, *args: Any, **kwargs: Any) -> Any:
        """``add`` for async code, to add nodes to a workflow that runs."""
        return await sync_to_async(self.add, thread_sensitive=True)(what, *args, **kwargs)

    def enqueue(self) -> Self:
        """Store all nodes, or none, and let the nodes that wait for nothing run; return this workflow.

        Inside a transaction it is stored with the commit, like a job; after a rollback it may be enqueued again. Raises
        ``InvalidState`` if it was enqueued before, ``InvalidArguments`` if it has no nodes, and the errors of
        ``enqueue`` of a task.
        """
        if self._is_stored:
            raise InvalidState(f"Workflow {self.id} was enqueued before. Make another one to run it again.")
        if not self._jobs:
            raise InvalidArguments("The workflow has no nodes: add() some before enqueue().")
        require_batch_size([job.arguments for job in self._jobs.values()])
        self._backend.after_commit(self._store)
        self._stored = self._stored or SinceThen()
        return self

    async def aenqueue(self) -> Self:
        """``enqueue`` for async code."""
        return await sync_to_async(self.enqueue, thread_sensitive=True)()

    @property
    def _is_stored(self) -> bool:
        """Whether it was enqueued, and that was not rolled back."""
        if self._stored is not None and self._stored.may_be_undone():
            self._stored = None if self._backend.queue.get_batch(self.id) is None else SinceThen()
        return self._stored is not None

    def _store(self) -> None:
        queue = self._backend.queue
        ready = store(self._backend, self._batch.record, [*self._jobs.values()])
        self._stored = SinceThen(() if queue.database is None else (queue.database,))  # no other undoes it
        run_inline(self._backend, self.id, ready)

    def _require_addable(self, part: Part, name: str | None) -> None:
        if not self._is_stored:
            if not self._has_alias:
                self._batch.move_to(part.first_task.backend)
                self._has_alias = True
            if name is not None and not isinstance(part, Signature):
                raise InvalidArguments("A chain or group has no name: its nodes have names of their own.")
        elif name is None or not isinstance(part, Signature):
            raise InvalidArguments(
                f"Workflow {self.id} runs: add one task at a time, with name=..., so that a node which is run again "
                "adds the same node."
            )

    def _add(self, signature: Signature, place: Place) -> None:
        job = node_of(self._backend, self.id, signature, place)
        if self._is_stored:
            self._backend.after_commit(lambda: self._add_stored(job, place))
        else:
            self._jobs[place.name] = job

    def _add_stored(self, job: Job, place: Place) -> None:
        for name in place.after:  # not earlier: they may have been added in the same transaction, and rolled back
            if name not in self._jobs and self._backend.queue.get(node_id(self.id, name)) is None:
                raise self._no_node(name)
        run_inline(self._backend, self.id, add_stored(self._backend, job, place))

    def _name_of(self, signature: Signature, name: str | None) -> str:
        if name is None:
            name = base = signature.task.func.__name__
            while name in self._jobs:
                self._numbers[base] += 1
                name = f"{base}-{self._numbers[base] + 1}"
        if not is_name(name):
            raise InvalidArguments(f"name is {short(name)}; it must be {NAME_REQUIREMENT}.")
        if name in self._jobs:
            raise InvalidArguments(f"The workflow has a node {name!r} already. Give this one another name=.")
        return name

    def _names(self, after: After) -> Iterator[str]:
        """Yield the names of nodes. Raises ``InvalidArguments`` for an unknown one if the workflow is not stored."""
        if isinstance(after, Node):
            if after.workflow != self.id:
                raise InvalidArguments(f"after: {after!r} is in another workflow, and not in {self.id}.")
            after = after.name
        if isinstance(after, str):
            if after not in self._jobs and not self._is_stored:
                raise self._no_node(after)
            yield after
        elif isinstance(after, Iterable):
            for each in after:
                yield from self._names(each)
        else:
            raise InvalidArguments(f"after is {short(after)}; it must be a node, its name, or a list of these.")

    def _no_node(self, name: str) -> InvalidArguments:
        return InvalidArguments(
            f"after: there is no node {short(name)} in the workflow.{did_you_mean(name, [*self._jobs])} "
            "A node can only wait for nodes that were added before it."
        )

    def _nodes(self, names: Takes) -> Any:
        if isinstance(names, str):
            return Node(self.id, names)
        return [self._nodes(each) for each in names or ()]
