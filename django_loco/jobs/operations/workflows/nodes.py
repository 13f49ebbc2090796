"""The nodes of workflows: jobs that wait for other jobs.

A node is a member of the batch of its workflow. One of its options has its name, and the nodes that it waits for. Its
id follows from the workflow and its name, so that a node is found by its name, and stored once.

A node that waits is ``READY`` and due in thousands of years. So it holds no thread, no fetch reads it, and all
operations on waiting jobs work on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from ....core.job import NODE, READY, RELEASED, Job, utcnow
from ....queues.records.workflows import HELD_UNTIL, ON_FAILED, START, Edge, OnFailed

#: Which results are put before the arguments of a node: the name of a node, or a list of these.
Takes = str | Sequence[Any] | None


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a node in its workflow."""

    name: str
    after: tuple[str, ...] = ()
    """The names of the nodes that it waits for."""

    on_failed: OnFailed = "cancel"
    takes: Takes = None

    def option(self) -> dict[str, Any]:
        """Return the place as an option of a job."""
        option: dict[str, Any] = {"name": self.name, "after": list(self.after), "on_failed": self.on_failed}
        return option if self.takes is None else option | {"takes": self.takes}


def place_of(job: Job) -> Place | None:
    """Return the place of ``job`` in its workflow; ``None`` if it is no node, or its option cannot be read."""
    option = job.options.get(NODE) if job.options else None
    if option is None or job.batch is None or not isinstance(option, Mapping):
        return None
    name, after, on_failed = option.get("name"), option.get("after"), option.get("on_failed")
    if not isinstance(name, str) or not isinstance(after, list) or on_failed not in ON_FAILED:
        return None
    return Place(name, tuple(map(str, after)), on_failed, option.get("takes"))


def node_id(workflow: str, name: str) -> str:
    """Return the id of the job of a node: a UUID of version 7 with the time of the workflow's id."""
    number = int.from_bytes(hashlib.sha256(f"{workflow}\n{name}".encode()).digest()[:10])
    high, low = number >> 68, number & ((1 << 62) - 1)
    return f"{int(workflow[:12], 16) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low:032x}"


def placed(job: Job, workflow: str, place: Place) -> Job:
    """Return a new ``job``, changed to a node that waits."""
    options = {**job.options, NODE: place.option()}
    return replace(job, id=node_id(workflow, place.name), batch=workflow, run_after=HELD_UNTIL, options=options)


def waits_for_nodes(job: Job) -> bool:
    """Return whether ``job`` is a node that waits for others."""
    return job.status == READY and job.run_after == HELD_UNTIL and place_of(job) is not None


def has_upstream(job: Job) -> bool:
    """Return whether ``job`` is a node that has to wait for others, each time before it runs."""
    place = place_of(job)
    return place is not None and bool(place.after)


def again(job: Job) -> Job:
    """Return a job that is to run again. A node that has upstream nodes waits for them once more."""
    return replace(job, run_after=HELD_UNTIL) if has_upstream(job) else job


def released(job: Job) -> Job:
    """Return a waiting node, changed so that it may run. It comes among the jobs that were enqueued when it was.

    The node notes when it was released, because it has waited for a worker only since then.
    """
    options = {**job.options, NODE: {**job.options[NODE], RELEASED: utcnow().isoformat()}}
    return replace(job, run_after=None, options=options)


def edges_of(job: Job, place: Place) -> Iterator[Edge]:
    """Yield the edges to a node. A node that waits for no other waits for the start of the workflow."""
    for name in place.after:
        yield Edge(node_id(str(job.batch), name), job.id, place.on_failed)
    if not place.after:
        yield Edge(START, job.id, place.on_failed)


def edges_to(jobs: Iterable[Job]) -> list[Edge]:
    """Return the edges to the nodes among ``jobs``."""
    return [*chain.from_iterable(edges_of(job, place) for job in jobs if (place := place_of(job)))]
