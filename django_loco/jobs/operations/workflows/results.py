"""The results of the nodes of a workflow: read from the store when a later node asks for them, and never copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any, Self

from asgiref.sync import sync_to_async

from ....core.job import SUCCESSFUL, Job
from ....core.serialization import decode
from ....exceptions import Interrupted, QueueUnavailable
from ....queues import Queue
from ...stores import backend_of
from .nodes import Takes, node_id, place_of
from .releasing import members


class NodeResults(Mapping[str, Any]):
    """The return values of nodes by their names: ``context.results["extract"]``. Each look reads the store.

    Any node of the workflow can be asked for. A node that has not succeeded has no value: ``KeyError``, and ``get``
    returns the default. Iterating yields the names of the nodes that the job has waited for and that have succeeded.
    """

    def __init__(self, queue: Queue | None, workflow: str, names: Sequence[str] | None = ()) -> None:
        """``names`` are the names that iterating may yield; ``None``: all. Without a ``queue`` it is empty."""
        self._queue, self._workflow, self._names = queue, workflow, names

    @classmethod
    def empty(cls) -> Self:
        """Return the results of a job that is no node."""
        return cls(None, "")

    def loaded(self) -> dict[str, Any]:
        """Return the values of the nodes that iterating yields, read in one go."""
        if self._names is None and self._queue:
            succeeded = members(self._queue, self._workflow, "succeeded")
            return {place.name: value_of(job) for job in succeeded if (place := place_of(job))}
        ids = {name: node_id(self._workflow, name) for name in self._names or ()}
        jobs = self._queue.get_many([*ids.values()]) if self._queue else ()
        done = {job.id: job for job in jobs if job.status == SUCCESSFUL}
        return {name: value_of(done[job_id]) for name, job_id in ids.items() if job_id in done}

    def __getitem__(self, name: str) -> Any:
        job = self._queue.get(node_id(self._workflow, str(name))) if self._queue else None
        if job is None:
            raise KeyError(f"There is no node {name!r} in workflow {self._workflow or '(this job is no node)'}.")
        if job.status != SUCCESSFUL:
            raise KeyError(f"Node {name!r} (job {job.id}) has no result: its status is {job.status}.")
        return value_of(job)

    def __iter__(self) -> Iterator[str]:
        return iter(self.loaded())

    def __len__(self) -> int:
        return len(self.loaded())

    def __repr__(self) -> str:
        return f"<results of workflow {self._workflow}>"


def results_of(job: Job) -> NodeResults | None:
    """Return the results that a node may read; ``None`` for a job that is no node."""
    place = place_of(job)
    return None if place is None else NodeResults(backend_of(job.backend).queue, str(job.batch), place.after)


def value_of(job: Job) -> Any:
    """Return the value that a job has returned; ``None`` if it has not succeeded."""
    return decode(job.return_value or "null") if job.status == SUCCESSFUL else None


def takes_result(job: Job) -> bool:
    """Return whether the first argument of ``job`` is the result of earlier nodes."""
    place = place_of(job) if job.options else None  # quick for most jobs
    return place is not None and place.takes is not None


def taking_results(job: Job, function: Callable[..., Any], place: int) -> Callable[..., Any]:
    """Return a function that calls ``function`` with the results that ``job`` takes, inserted at ``place``.

    The results are read at the call: in the calling thread, or on a thread for an async function. The call raises
    ``Interrupted`` if the store cannot be reached.
    """

    def filled(args: Sequence[Any]) -> Sequence[Any]:
        try:
            return (*args[:place], taken_by(job), *args[place:])
        except QueueUnavailable as error:  # the job has not begun, so it spends no attempt
            raise Interrupted(f"The results that job {job.id} takes cannot be read now.") from error

    async def call_async(*args: Any, **kwargs: Any) -> Any:
        return await function(*await sync_to_async(filled, thread_sensitive=True)(args), **kwargs)

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*filled(args), **kwargs)

    return call_async if iscoroutinefunction(function) else call


def taken_by(job: Job) -> Any:
    """Return the results that ``job`` takes: a value, or a list. A node that has not succeeded has ``None``."""
    found = place_of(job)
    takes = None if found is None else found.takes
    ids = {name: node_id(str(job.batch), name) for name in names_in(takes)}
    jobs = backend_of(job.backend).queue.get_many([*ids.values()])
    values = {each.id: value_of(each) for each in jobs}
    return _shaped(takes, {name: values.get(job_id) for name, job_id in ids.items()})


def names_in(takes: Takes) -> list[str]:
    """Return the names of the nodes whose results are taken, in order."""
    if takes is None or isinstance(takes, str):
        return [] if takes is None else [takes]
    return [name for each in takes for name in names_in(each)]


def _shaped(takes: Takes, values: Mapping[str, Any]) -> Any:
    if takes is None or isinstance(takes, str):
        return None if takes is None else values[takes]
    return [_shaped(each, values) for each in takes]
