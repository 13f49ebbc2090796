"""The registry of the workers that take jobs from a queue, through which people control them, and of schedulers."""

from __future__ import annotations

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from ..core.job import utcnow

#: The shortest time between two fetches that also read the command for a worker. An idle worker fetches less often.
POLL_SECONDS = 0.7
#: The maximum age of a command that a fetch has read, for a worker to obey it without asking again.
COMMAND_AGE_SECONDS = 1.0
#: The part of its lease after which a heartbeat is late. Workers send one three times per lease.
LATE_PART = 0.7


class Role(StrEnum):
    """The purpose of a worker's process."""

    WORKER = "worker"
    """It runs jobs, and perhaps the scheduler."""

    SHARED = "shared"
    """It has a web server, or is a process of the project that runs its own jobs."""

    ISOLATED = "isolated"
    """It runs one suspect job after the other, for the worker that has started it."""

    SCHEDULER = "scheduler"
    """It fires schedules. The scheduler of a process is registered beside its worker, and takes no jobs."""


class WorkerState(StrEnum):
    """Whether a worker takes jobs."""

    RUNNING = "running"
    QUIET = "quiet"
    """It takes no more jobs."""

    STOPPING = "stopping"
    """It ends when its jobs have ended."""


class Command(StrEnum):
    """A command for a worker."""

    RUN = ""
    """Take jobs, as at first."""

    QUIET = "quiet"
    """Take no more jobs, until ``RUN``."""

    STOP = "stop"
    """End the process as at SIGTERM."""


#: Before the number of a scheduler's entry, in its id.
ENTRY = "/"
#: Behind a command: show the stacks. The text after it differs each time, so that the worker sees that it is new.
_STACKS = " stacks "


def with_stacks(command: str, number: str) -> str:
    """Return ``command``, as it is in the queue, with a request for the stacks of the worker's process.

    ``number`` differs from the number of each earlier request.
    """
    return f"{split_command(command)[0]}{_STACKS}{number}"


def split_command(command: str) -> tuple[str, str]:
    """Return the ``Command`` in the text of a queue, and the number of the request for stacks, which may be empty."""
    text, _, number = command.partition(_STACKS)
    return text, number


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """One worker, as it described itself with its last heartbeat."""

    worker_id: str
    """The worker holds jobs with this id."""

    host: str
    pid: int
    queues: tuple[str, ...] | None
    """The names of the queues that it takes jobs from; ``None``: all."""

    tags: tuple[str, ...] | None
    """``None``: jobs with any tags; ``()``: only jobs without tags; otherwise only jobs with one of these."""

    threads: int
    """The number of sync jobs that it runs at once."""

    coroutines: int
    """The number of async jobs that it runs at once."""

    lease: float
    """It is presumed dead this number of seconds after its last heartbeat."""

    started_at: datetime
    version: str = ""
    """The version of django-loco that it runs; empty for versions that did not tell."""

    busy: int = 0
    """The number of jobs that it held at its last heartbeat."""

    busy_async: int = 0
    """The number of async jobs among them."""

    state: str = WorkerState.RUNNING
    """A ``WorkerState``, as it was at its last heartbeat."""

    role: str = ""
    """A ``Role``; empty for a worker of an earlier release, which did not tell."""

    memory: int = 0
    """The bytes of memory that its process used at its last heartbeat; 0: not known."""

    release: str = ""
    """``LOCO["RELEASE"]`` of its process."""

    schedules: int = 0
    """The number of schedules that it fires, if it is a scheduler."""

    stacks: str = ""
    """The stacks of the threads and asyncio tasks of its process, if somebody has asked for them recently."""

    heartbeat_age: float = 0.0
    """Seconds since its last heartbeat, by the queue's clock."""

    @property
    def is_alive(self) -> bool:
        """Whether its last heartbeat is younger than its lease."""
        return self.heartbeat_age <= self.lease

    @property
    def is_late(self) -> bool:
        """Whether it is alive, and has missed a heartbeat."""
        return self.is_alive and self.heartbeat_age > LATE_PART * self.lease

    @property
    def is_scheduler(self) -> bool:
        """Whether it fires schedules, and takes no jobs."""
        return self.role == Role.SCHEDULER

    @property
    def scheduler_id(self) -> str:
        """The id of a scheduler, which is the same in all its entries: each alias has one, with an id of its own."""
        return self.worker_id.rpartition(ENTRY)[0] or self.worker_id

    @property
    def takes_jobs(self) -> bool:
        """Whether it is alive, and neither quiet nor about to end."""
        return self.is_alive and self.state == WorkerState.RUNNING

    def serves(self, queue_name: str) -> bool:
        """Whether it takes jobs from the queue ``queue_name``. Does not consider tags."""
        return self.queues is None or queue_name in self.queues

    def beating(
        self, busy: int, state: str = WorkerState.RUNNING, memory: int = 0, stacks: str = "", busy_async: int = 0
    ) -> WorkerInfo:
        """Return a copy with what it holds, does and uses now."""
        return replace(self, busy=busy, busy_async=busy_async, state=state, memory=memory, stacks=stacks)

    def has_room(self, *, is_async: bool) -> bool:
        """Whether it held fewer jobs of this kind than it runs at once."""
        return self.busy_async < self.coroutines if is_async else self.busy - self.busy_async < self.threads


FIELDS = frozenset(field.name for field in fields(WorkerInfo))


def text_of_worker(worker: WorkerInfo) -> str:
    """Return ``worker`` as one line of JSON, without its heartbeat, which the queue stores by its own clock."""
    values = asdict(worker) | {"started_at": worker.started_at.isoformat()}
    del values["heartbeat_age"]
    return json.dumps(values, separators=(",", ":"))


def worker_of_text(worker_id: str, text: str, age: float) -> WorkerInfo:
    """Return the worker in a text of ``text_of_worker``; for a text that cannot be read, a worker with its id alone.

    ``age``: seconds since its last heartbeat. Unknown fields, which a newer release has stored, are ignored.
    """
    try:
        values = json.loads(text)
        return WorkerInfo(
            **{name: value for name, value in values.items() if name in FIELDS}
            | {
                "worker_id": worker_id,
                "queues": _names(values["queues"]),
                "tags": _names(values["tags"]),
                "started_at": datetime.fromisoformat(values["started_at"]),
                "heartbeat_age": max(0.0, age),
                "lease": float(values["lease"]),
            }
        )
    except (ValueError, TypeError, LookupError, AttributeError):
        return WorkerInfo(
            worker_id=worker_id, host="", pid=0, queues=(), tags=None, threads=0, coroutines=0, lease=0.0,
            started_at=utcnow(), heartbeat_age=max(0.0, age),
        )  # fmt: skip


def _names(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(map(str, names))


class WorkerRegistry(ABC):
    """The methods of a queue for its workers."""

    @abstractmethod
    def register(self, worker: WorkerInfo) -> None:
        """Record that ``worker`` lives. Workers call it with each heartbeat."""

    @abstractmethod
    def unregister(self, worker_id: str) -> bool:
        """Delete a worker, and the command for it; return whether it was registered.

        If several callers ask at once, one of them gets ``True``.
        """

    @abstractmethod
    def workers(self) -> Sequence[WorkerInfo]:
        """Return the registered workers and schedulers, also dead ones that were not unregistered yet."""

    def command(self, worker_id: str, command: str) -> bool:  # noqa: ARG002
        """Leave a ``Command`` for a worker, in place of an earlier one; return whether the worker is registered.

        By default a queue cannot do that, and returns ``False``.
        """
        return False

    def command_of(self, worker_id: str) -> str:  # noqa: ARG002
        """Return the last command for a worker, ``Command.RUN`` if there is none."""
        return Command.RUN

    def recent_command_of(self, worker_id: str) -> str:
        """Return the command as it was at some moment of the last ``COMMAND_AGE_SECONDS``. Workers ask every second."""
        return self.command_of(worker_id)


class FetchedCommands(WorkerRegistry):
    """A registry whose queue reads the command for a worker together with jobs for it, which saves a call."""

    @cached_property
    def _fetched_commands(self) -> dict[str, tuple[float, str]]:
        return {}

    def recent_command_of(self, worker_id: str) -> str:
        """Return the command that the last fetch has read, if that was recent enough."""
        if self._command_age(worker_id) < COMMAND_AGE_SECONDS:
            return self._fetched_commands[worker_id][1]
        return self.command_of(worker_id)

    def _is_command_old(self, worker_id: str) -> bool:
        """Return whether the next fetch has to read the command for a worker."""
        return self._command_age(worker_id) >= POLL_SECONDS

    def _note_command(self, worker_id: str, command: str) -> None:
        self._fetched_commands[worker_id] = time.monotonic(), command

    def _command_age(self, worker_id: str) -> float:
        at, _ = self._fetched_commands.get(worker_id, (-math.inf, ""))
        return time.monotonic() - at
