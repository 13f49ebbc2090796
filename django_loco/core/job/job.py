"""A job, and what it is made of."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from itertools import repeat
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

from ..compat import TaskError, TaskResultStatus
from .clock import utcnow
from .ids import new_id

#: The number of workers that may die with a job before it fails as ``LostJob``.
MAX_LOST = 3
#: A job with which this many workers have died is a *suspect*. From then on it runs alone. If the next worker dies, no
#: other job can be the cause, and the suspect fails.
SUSPECT = MAX_LOST - 1
#: The ``task_path`` of a job that cannot be read as it is stored.
UNREADABLE = "(unreadable)"
#: Among the options of a job, the id of the request that it comes from.
REQUEST = "request_id"
#: Among the options of a job, the id of the job that has enqueued it.
PARENT = "parent"
#: Among the options of a job, the context that it carries: see ``carry``.
CARRY = "carry"
#: Among the options of a job, its signature: see ``jobs.signing``.
SIGNATURE = "signature"
#: Among the options of a job, where it is moved to: see ``jobs.transfer.parking``.
MOVING = "moving"
#: Among the options of a job, the headers that connect it with the trace of whoever enqueued it: see ``log.tracing``.
TRACE = "trace"
#: Among the options of a job, its place in a workflow: see ``jobs.operations.workflows.nodes``.
NODE = "node"
#: In that place: when the job was released, because the nodes before it had ended.
RELEASED = "released"
#: Among the options of a unique job, that others may follow it, or which one it follows (``jobs.operations.reruns``).
RERUN = "rerun"
#: Among the options of a job, for how many seconds it is kept, by the way it ends: see ``retention``.
RETENTION = "retention"
_NOT_GIVEN = frozenset((REQUEST, PARENT, SIGNATURE, MOVING, TRACE, CARRY, RERUN, NODE, RETENTION))

READY, RUNNING = TaskResultStatus.READY, TaskResultStatus.RUNNING
FAILED, SUCCESSFUL = TaskResultStatus.FAILED, TaskResultStatus.SUCCESSFUL


Value = TypeVar("Value")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def value(cls: type[Value]) -> type[Value]:
    """Make ``cls`` a dataclass that the type checker treats as frozen.

    Freezing it at run time as well would make creating an instance take six times as long, and with two instances per
    job that is a fifth of the time spent on a job.
    """
    return dataclass(slots=True, kw_only=True)(cls)


def by_run() -> Any:
    """Declare a field of ``Job`` that a run writes while it holds the job; ``None``: it has written nothing.

    An outcome does not change the stored value, except that a ``SUCCESSFUL`` one deletes the checkpoint.
    """
    return field(default=None, metadata={"by_run": True})


class Noted:
    """A queue's note about a job that it has read: how the job is stored. A copy with other fields has no note."""

    __slots__ = ("note",)
    note: Any

    @property
    def stored(self) -> Any:
        """The note. Only the queue that made it understands it. ``None``: there is no note."""
        return getattr(self, "note", None)


@value
class Job(Noted):
    """One call of a task that waits, runs or has run.

    1. ``enqueue`` makes it: ``READY`` and due at once, or at ``run_after``.
    2. A worker fetches it: ``RUNNING``, with a random ``token`` that every later write must show.
    3. The worker's outcome makes it ``SUCCESSFUL``, ``FAILED``, or ``READY`` again (a retry, or handed back).
    4. If the worker died, its lease runs out and any live process makes it ``READY`` again, ``lost`` one higher.
    """

    task_path: str
    """Where the task is imported from: ``"shop.tasks.reindex"``."""

    backend: str
    """The alias in ``TASKS``."""

    id: str = field(default_factory=new_id)
    arguments: str = field(default="[[],{}]", repr=False)
    """JSON text ``[args, kwargs]``. Use ``redaction.shown_call`` to show it to people."""

    queue_name: str = "default"
    priority: int = 0
    is_async: bool = False
    """Whether it runs on the event loop and not on a thread."""

    run_after: datetime | None = None
    """The earliest time of the next run; ``None``: at once."""

    expires_at: datetime | None = None
    """The time after which it does not begin any more; ``None``: it may begin at any time."""

    enqueued_at: datetime = field(default_factory=utcnow)
    tags: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: the options that ``.using()`` changed for this call, ``REQUEST``, ``PARENT``, ``TRACE``, ..."""

    key: str | None = None
    """A once-key: the queue accepts only one job with it; ``None``: no limit. See also ``series``."""

    unique_key: str | None = None
    unique_until: str | None = None
    """Until when it holds its unique key, which no other job has meanwhile: see ``core.uniqueness``."""

    limit_key: str | None = None
    """The keys of the limits that it obeys, with a space between them: see ``core.job.limits``."""

    batch: str | None = None
    """The id of the batch that it is a member of."""

    status: TaskResultStatus = READY
    started_at: datetime | None = None
    """When the first attempt began."""

    last_attempted_at: datetime | None = None
    finished_at: datetime | None = None
    worker_ids: tuple[str, ...] = ()
    """The worker of each attempt that has ended. Interrupted runs do not count. See ``Outcome.errors_kept``."""

    errors: tuple[TaskError, ...] = ()
    """One per attempt that failed, oldest first. See ``Outcome.errors_kept``."""

    lost: int = 0
    """The number of workers that died while they held it."""

    return_value: str | None = None
    """JSON text, once ``SUCCESSFUL``."""

    checkpoint: str | None = by_run()
    """JSON text that a run has saved for the next run; deleted when the job succeeds."""

    metadata: str | None = by_run()
    """JSON text of an object that ``using(metadata=...)`` and the job itself write; ``None``: it is empty."""

    steps: str | None = by_run()
    """JSON text of an object: the results of its durable steps by their names; ``None``: it has had none."""

    waits: str | None = by_run()
    """JSON text of an object: its sleeps and its waits for signals (``core.job.waits``); ``None``: it has had none."""

    signals: str | None = by_run()
    """JSON text of an object: the signals that were sent to it (``core.job.waits``); ``None``: none."""

    progress: str | None = by_run()
    """JSON text: the progress that the job has reported (``core.job.progress``); ``None``: none."""

    token: str | None = None
    """The fencing token of its claim, while ``RUNNING``."""

    worker_id: str | None = None
    """The worker that holds it, while ``RUNNING``."""

    @property
    def is_readable(self) -> bool:
        """Whether its stored form could be read. If not, it is never run, and its last error says why."""
        return self.task_path != UNREADABLE

    @property
    def overrides(self) -> Mapping[str, Any]:
        """The options that ``.using()`` changed for this call: ``STORED_OPTIONS`` that have no field of their own."""
        if _NOT_GIVEN.isdisjoint(self.options):
            return self.options
        return {name: given for name, given in self.options.items() if name not in _NOT_GIVEN}

    @property
    def request_id(self) -> str:
        """The id of the request that enqueued this job, directly or through other jobs; empty if there was none."""
        return self.options.get(REQUEST, "") if self.options else ""

    @property
    def parent(self) -> str:
        """The id of the job that enqueued this one while it ran; empty if no job did. It may be gone by now."""
        found = self.options.get(PARENT) if self.options else None
        return found if isinstance(found, str) else ""

    @property
    def due_at(self) -> datetime:
        """The earliest time at which it may run. Jobs of one priority run in the order of this time."""
        return self.run_after or self.enqueued_at

    @property
    def ready_since(self) -> datetime:
        """When it began to wait for a worker: ``due_at``, or the end of the nodes before it."""
        if NODE not in self.options:
            return self.due_at
        try:
            return max(self.due_at, datetime.fromisoformat(self.options[NODE][RELEASED]))
        except (KeyError, TypeError, ValueError):  # TypeError: somebody has edited it
            return self.due_at

    @property
    def series(self) -> str | None:
        """The part of the once-key before the last ``@``. Jobs of one series can be listed together."""
        name, at, _ = (self.key or "").rpartition("@")
        return name if at else None

    @property
    def is_known_to_have_begun(self) -> bool:
        """Whether a run has left something behind: an attempt, the death of its worker, a checkpoint, or a step."""
        return bool(self.worker_ids or self.lost) or not (self.checkpoint is self.steps is self.waits is None)

    @property
    def is_moving(self) -> bool:
        """Whether it is on its way to another store, or there already. It may only be cancelled or deleted here."""
        return MOVING in self.options

    @property
    def is_suspect(self) -> bool:
        """Whether it fails as ``LostJob`` when the next worker dies with it."""
        return self.lost >= SUSPECT

    @property
    def attempt(self) -> int:
        """The number of the attempt that runs now or comes next, from 1."""
        return len(self.worker_ids) + (self.finished_at is None)

    def claimed(self, *, worker_id: str, token: str, at: datetime) -> Job:
        """Return this job as held by the worker ``worker_id`` from the time ``at`` on."""
        return replace(
            self,
            status=RUNNING,
            worker_id=worker_id,
            token=token,
            started_at=self.started_at or at,
            last_attempted_at=at,
        )


FIELD_NAMES = tuple(each.name for each in fields(Job))
_values_of: Callable[[Job], tuple[Any, ...]] = attrgetter(*FIELD_NAMES)


def job_with(values: Iterable[Any]) -> Job:
    """Return a job with ``values``, in the order of its fields, in half of the time of ``Job(...)``."""
    job = Job.__new__(Job)
    deque(map(setattr, repeat(job), FIELD_NAMES, values), maxlen=0)
    return job


def changed(job: Job, **changes: Any) -> Job:
    """Return ``job`` with ``changes``, in a third of the time of ``dataclasses.replace``."""
    new = job_with(_values_of(job))
    for name, given in changes.items():
        setattr(new, name, given)
    return new


#: The fields that are declared with ``by_run``.
WRITTEN_BY_RUN = tuple(each.name for each in fields(Job) if "by_run" in each.metadata)


def written_by_run(job: Job) -> dict[str, Any]:
    """Return the fields of ``job`` that a run writes: see ``by_run``."""
    return {name: getattr(job, name) for name in WRITTEN_BY_RUN}
