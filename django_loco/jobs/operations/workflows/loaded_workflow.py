"""Workflows as they were loaded: their states, counts and results, and operations on all nodes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from asgiref.sync import sync_to_async

from ....core.job import Job
from ....queues.records.batches import BatchCounts
from ...stores import JobBackend, backend_of
from ..attribute_hints import Hinted
from ..batches.batch import Batch
from .releasing import members
from .results import NodeResults

#: ``open``: it is being stored. ``running``: nodes wait or run. ``cancelled``: the same, and it takes no more nodes.
#: ``finished``: no node waits or runs.
WorkflowState = Literal["open", "running", "cancelled", "finished"]


class LoadedWorkflow(Hinted):
    """The part of ``Workflow`` that needs a stored one. Its state and counts are as they were when it was loaded."""

    hinted_as = "workflow"

    _batch: Batch
    """The batch of its nodes, which has its id."""

    @property
    def id(self) -> str:
        """Its id, which the batch of its nodes has, too."""
        return self._batch.id

    @property
    def name(self) -> str:
        """Its name, for people."""
        return self._batch.name

    @property
    def backend(self) -> str:
        """The alias in ``TASKS`` of its nodes."""
        return self._batch.backend

    @property
    def metadata(self) -> dict[str, Any]:
        """A new copy of the ``metadata`` that it was given."""
        return self._batch.metadata

    @property
    def state(self) -> WorkflowState:
        """``"open"``: it is being stored. ``"running"``: nodes wait or run. Then ``"finished"``.

        ``"cancelled"``: it takes no more nodes, and finishes when those that run have ended.
        """
        state = self._batch.state
        return "running" if state == "sealed" else state

    @property
    def counts(self) -> BatchCounts:
        """How many nodes it has (``total``), and how many ``succeeded``, ``failed``, ``cancelled``, are ``left``."""
        return self._batch.counts

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        return self._batch.created_at

    @property
    def finished_at(self) -> datetime | None:
        """When its last node had ended."""
        return self._batch.finished_at

    @property
    def results(self) -> NodeResults:
        """The return values of its nodes by their names; each look reads the store."""
        return NodeResults(self._backend.queue, self.id, None)

    def nodes(self) -> Iterator[Job]:
        """Yield the jobs of its nodes that are stored, with their present states, in no order."""
        for kind in ("left", "failed", "succeeded"):
            yield from members(self._backend.queue, self.id, kind)

    def refresh(self) -> None:
        """Load the present state and counts. Raises ``BatchDoesNotExist``."""
        self._batch.refresh()

    async def arefresh(self) -> None:
        """``refresh`` for async code."""
        await sync_to_async(self.refresh, thread_sensitive=True)()

    def cancel(self, *, by: str = "") -> int:
        """Cancel all nodes that wait or run, and take no more; return how many.

        ``by`` names who does it. Raises ``InvalidState`` if it has finished.
        """
        return self._batch.cancel(by=by)

    def retry(self) -> int:
        """Run the failed part again; return how many nodes run or wait again.

        The nodes that have failed run once more. The cancelled nodes wait for them as before, and the succeeded nodes
        stay as they are. If the workflow has finished, another round of it begins, with its callbacks. Raises
        ``InvalidState`` if the alias runs jobs inside ``enqueue``.
        """
        return self._batch.retry()

    @property
    def _backend(self) -> JobBackend:
        return backend_of(self.backend)
