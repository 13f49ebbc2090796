"""The port: the operations that every queue has, and the only ones that the rest of django-loco uses.

How a job is held
-----------------
``fetch`` gives a job to a worker under a *lease*: a random token and a time until which it is valid. A
worker's heartbeat renews the leases of all it holds at a third of their length. When a worker dies its leases
run out, and ``rescue``, which every live worker calls, makes those jobs ready again.

A worker that was only presumed dead (a suspended laptop, a long garbage collection, a lost network) may still
finish. Therefore every later write shows the token: a queue takes an outcome only of the job's present holder.
A second run of a job is possible then; a second outcome is not.

Whose clock
-----------
Leases and due times are compared with one clock per queue: the database's own where several machines share
it, this machine's elsewhere. No two machines have to agree.

That clock may be set, or another server with another clock may take over. A job without ``run_after`` is due whatever
the clock says, and so is one that was handed back. All leases may seem to have run out: the reaper compares ``clock``
with its own monotonic clock, and if they part it waits until all live holders have renewed.

To write a queue of your own, fill in the abstract methods, run ``django_loco.testing.QueueContract`` against
it, and name it in ``TASKS[alias]["OPTIONS"]["queue"]`` by its dotted path.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from django.core.checks import CheckMessage

from ..conf import did_you_mean
from ..core.compat import TaskResultStatus
from ..core.job import Job, JobSummary, Outcome
from ..core.validation import is_whole
from ..exceptions import LocoConfigurationError
from ..log.safe import get_logger
from .timeouts import store_timeout
from .workers import WorkerInfo

logger = get_logger("django_loco.queues")

#: The time for which a once-key is remembered after its job has finished, however soon results are pruned.
KEY_MEMORY_SECONDS = 3600.0
#: How long a store may take to answer ``Queue.answers``.
PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a worker asks for in one ``fetch``."""

    worker_id: str
    lease: float
    """Seconds that the claim is valid unless renewed."""

    threads: int = 0
    """How many sync jobs at most."""

    coroutines: int = 0
    """How many async jobs at most."""

    queues: tuple[str, ...] | None = None
    """Only of these queues; ``None``: of every one."""

    tags: tuple[str, ...] | None = None
    """``None``: whatever its tags; ``()``: only jobs without tags; else only jobs with one of these."""

    ahead: float = 0
    """Seconds: jobs that become due within them count as due. Only tests ask for it, of queues in memory and in a
    database."""

    suspects: bool | None = None
    """``None``: suspects (``Job.is_suspect``) like any other job; ``False``: no suspects; ``True``: one suspect, be it
    sync or async, as the only job."""


def status_of(status: TaskResultStatus | str | None) -> TaskResultStatus | None:
    """Return a status that may have been given as text. Raises ``ValueError`` if there is no such."""
    try:
        return None if status is None else TaskResultStatus(status)
    except ValueError:
        raise ValueError(
            f"There is no status {status!r}.{did_you_mean(str(status), TaskResultStatus.values)}"
        ) from None


class Queue(ABC):
    """A place where jobs wait, and where their outcomes are kept.

    One instance serves a ``TASKS`` alias in a process and is used by many threads at once. Methods that reach
    the store raise ``QueueUnavailable`` when it cannot be reached. As a rule they have changed nothing then. If the
    store hangs, or its answer is lost, the operation may have been done or may be done later. So only idempotent
    operations are retried: a finish and a renewal show a token, and a tick has a key. Jobs that were fetched for an
    answer that never came are back when their lease has run out.
    """

    is_shared: ClassVar[bool] = True
    """Whether another process can fetch from it."""

    database: str | None = None
    """The database alias whose open transaction ``enqueue`` becomes part of; ``None``: no database at all."""

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        """``alias`` is the one in ``TASKS``, ``options`` its ``OPTIONS``. Raises ``LocoConfigurationError``.

        Must be cheap and touch neither models nor store: it runs while apps are still being loaded.
        """
        self.alias = alias
        self.options = options

    def limit(self, name: str, default: int | None = None, *, is_required: bool = False) -> int | None:
        """Return the option ``name``: a whole number, or ``None`` for no limit, unless one ``is_required``.

        Raises ``LocoConfigurationError``.
        """
        value: int | None = self.options.get(name, default)
        if (value is not None or is_required) and not is_whole(value, 0):
            raise LocoConfigurationError(
                f"TASKS[{self.alias!r}]['OPTIONS'][{name!r}] is {value!r}; it must be a whole number, 0 or more."
            )
        return value

    @property
    def remembers(self) -> bool:
        """Whether other processes, and the next ones, know the once-keys that this process has used."""
        return self.is_shared

    def share_keys(self, folder: Path, seconds: float) -> None:  # noqa: B027 - as its text says
        """Let the processes of this machine that name the same ``folder`` know each other's once-keys.

        A key is remembered there for ``seconds``. A queue that is shared by itself does nothing.
        """

    def save(self, folder: Path) -> int:  # noqa: ARG002
        """Move the jobs that wait to files in ``folder``, if they would end with this process; return how many.

        Raises ``OSError`` if that cannot be done; then the jobs stay. A queue that keeps jobs by itself does nothing.
        """
        return 0

    def load(self, folder: Path) -> int:  # noqa: ARG002
        """Enqueue the jobs that ``save`` has moved to ``folder``, in this process or another; return how many."""
        return 0

    def clock(self) -> float:
        """Return the time of the clock that judges leases, in seconds from any start; by default this machine's."""
        return time.time()

    @abstractmethod
    def enqueue(self, jobs: Sequence[Job]) -> list[Job]:
        """Store new jobs, all or none, in one round trip; return those stored.

        Not stored and not returned are jobs whose ``key`` the queue has seen before. Raises ``QueueFull``.
        """

    @abstractmethod
    def fetch(self, claim: Claim) -> list[Job]:
        """Hand over jobs that are due, best first: ``priority`` descending, then ``due_at`` and ``id`` ascending.

        Each is ``RUNNING`` under a token of its own. No other fetch returns it until its lease has run out.
        """

    @abstractmethod
    def finish(self, outcomes: Sequence[Outcome]) -> set[str]:
        """Store how jobs ended (done, failed, to be retried, handed back) in one round trip.

        Returns the ids refused because the job is no longer held under the outcome's token; those are unchanged.
        """

    def exchange(self, outcomes: Sequence[Outcome], claim: Claim, stored: Callable[[set[str]], None]) -> list[Job]:
        """``finish`` these and ``fetch`` those, in one call to the store if the queue can do that.

        ``stored`` is called with the ids refused as soon as the outcomes are stored. They stay so if the fetch raises.
        """
        stored(self.finish(outcomes))
        return self.fetch(claim)

    @abstractmethod
    def renew(self, jobs: Sequence[Job], lease: float) -> set[str]:
        """Make the leases of held ``jobs`` valid for ``lease`` seconds from now; return the ids no longer held."""

    @abstractmethod
    def update(self, job: Job, field: str, text: str) -> bool:
        """Store ``text`` (JSON) as a field of a held ``job`` that is in ``written_by_run``; return whether it is held.

        It stays with the job, whatever becomes of the run; a ``checkpoint`` until an outcome is ``SUCCESSFUL``. An
        outcome does not change it: the value in its ``job`` may be older than the one that is stored.
        """

    @abstractmethod
    def rescue(self, limit: int = 100) -> list[Job]:
        """Free up to ``limit`` jobs whose lease has run out, by ``Outcome.of_dead_worker``; return them as freed.

        Any number of processes may call it at once; each such job is freed once.
        """

    def suspects(self, claim: Claim) -> int:  # noqa: ARG002
        """Return how many suspects (``Job.is_suspect``) of the queues and tags of ``claim`` are due.

        Must cost next to nothing while there are none. A queue that does not tell suspects apart returns 0, as this one
        does: its workers run them beside other jobs.
        """
        return 0

    @abstractmethod
    def get(self, job_id: str) -> Job | None:
        """Return a job, finished or not; ``None`` if there is no such (or it has been pruned)."""

    @abstractmethod
    def series(self, name: str, limit: int = 100) -> list[JobSummary]:
        """Return up to ``limit`` jobs of which ``job.series`` is ``name``, finished or not, the newest first.

        In one round trip, and without reading other jobs or what these have returned: schedulers ask it every second,
        of queues of any length.
        """

    @abstractmethod
    def list(self, *, status: TaskResultStatus | str | None = None, limit: int = 100) -> list[Job]:
        """Return up to ``limit`` jobs, the newest first; with ``status`` (``FAILED`` or ``"FAILED"``), only such.

        Raises ``ValueError`` for a text that is no status.
        """

    @abstractmethod
    def counts(self, limit: int | None = None) -> dict[tuple[str, TaskResultStatus], int]:
        """Return how many jobs there are per queue name and status.

        With ``limit`` no number is higher than that: ``limit`` then stands for so many or more, which a page shows as
        "1,000+". It lets a queue stop counting there; without it, millions of jobs may take a second.
        """

    @abstractmethod
    def oldest_due(self, queues: tuple[str, ...] | None = None) -> datetime | None:
        """Return when the job that has been due longest became due; ``None`` if nothing that is due waits."""

    @abstractmethod
    def prune(self, older_than: float, limit: int = 1000) -> int:
        """Delete up to ``limit`` jobs that finished more than ``older_than`` seconds ago; return how many."""

    @abstractmethod
    def clear(self) -> None:
        """Delete every job. For tests."""

    @abstractmethod
    def register(self, worker: WorkerInfo) -> None:
        """Record that ``worker`` lives. Workers call it with each heartbeat."""

    @abstractmethod
    def unregister(self, worker_id: str) -> bool:
        """Delete a worker; return whether it was registered. Of several callers at once, one gets ``True``."""

    @abstractmethod
    def workers(self) -> Sequence[WorkerInfo]:
        """Return the registered workers, also those that have died and that nobody has unregistered."""

    @abstractmethod
    def wait(self, timeout: float) -> bool:
        """Block until jobs may have become due, or for ``timeout`` seconds; return whether it was the former.

        Called by one thread per worker, again and again. May return early for no reason. Jobs that become due by
        the clock alone need not end it; a worker fetches at the latest every second.
        """

    @abstractmethod
    def interrupt(self) -> None:
        """End every ``wait`` in this process at once, and that of a thread which is about to wait."""

    def answers(self) -> bool:
        """Return whether the store takes a small write that changes nothing.

        It is called after another call has failed. If it returns ``True``, the store is there, and refuses something
        in that call. It takes ``PROBE_SECONDS`` at most, as the caller has waited already.
        """
        try:
            with store_timeout(PROBE_SECONDS):
                self.renew([Job(task_path="", backend=self.alias, token="")], 1.0)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it
            logger.debug("TASKS[%r] does not answer: %s", self.alias, error)
            return False
        return True

    def check(self) -> Sequence[CheckMessage]:
        """Return the messages of ``manage.py check``. That the store cannot be reached is not an error there."""
        return ()

    def close(self) -> None:  # noqa: B027 - a queue need not hold anything
        """Close what the calling thread holds open, such as a connection. The queue stays usable."""
