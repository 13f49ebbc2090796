"""The interface of queues: the operations that the rest of django-loco uses.

How a job is held
-----------------
``fetch`` gives a job to a worker under a *lease*: a random token and a time until which it is valid. A
worker's heartbeat renews the leases of all its jobs at a third of their length. When a worker dies its leases
run out, and ``rescue``, which every live worker calls, makes those jobs ready again.

A worker that was presumed dead (a suspended laptop, a long garbage collection, a network failure) may still finish.
Therefore every later write shows the token: a queue accepts an outcome only from the present holder of the job. So a
job may run twice, but it never has two outcomes.

Whose clock
-----------
Leases and due times are compared with one clock per queue: the clock of the database if several machines share it, or
else the clock of this machine. The clocks of the machines need not agree.

That clock may be set, or another server with another clock may take over. A job without ``run_after`` is due
regardless of the clock, and so is one that was handed back. All leases may seem to have run out. So the reaper compares
``clock`` with its own monotonic clock. If they differ, it waits until all live holders have renewed their leases.

Where an operation is done
--------------------------
Each operation is a method of the same name of the class in ``queue.py`` of ``memory/``, ``database/`` and ``redis/``,
or of one of its base classes:

``records/``
    batches, workflows, limits, pauses, signals, workers and statistics, in each of the three.
memory
    ``jobs/`` has the jobs, and looks them up; ``saving.py`` moves them, and batches, to files.
database
    ``jobs/``, with the statements in ``sql/`` and in the ``dialect.py`` of the engine, which its ``session.py`` runs.
    ``limits/`` claims limited jobs, and waits for jobs. Unique keys are an index.
redis
    The scripts in ``lua/``, which ``queue.py`` calls. ``exchanges.py`` fetches, finishes, rescues and waits, by
    ``lua/exchange.lua``; ``changes.py`` changes jobs, and ``lookups.py`` reads them.

To write a queue of your own, implement the abstract methods, run ``django_loco.testing.QueueContract`` against
it, and name it in ``TASKS[alias]["OPTIONS"]["queue"]`` by its dotted path.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from django.core.checks import CheckMessage

from ..core.job import Job, Outcome
from ..core.job.job import value
from ..core.validation import is_whole
from ..exceptions import LocoConfigurationError, QueueRefused
from ..log.safe import get_logger
from .claim import Claim
from .examiner import Examiner
from .lookups import JobLookups
from .records import Records
from .timeouts import store_timeout
from .workers import WorkerRegistry

logger = get_logger("django_loco.queues")

T = TypeVar("T")

#: The logs of no job.
NO_LOGS: Mapping[str, str] = MappingProxyType({})
#: How long a store may take to answer ``Queue.answers``.
PROBE_SECONDS = 2.0


@value
class Change:
    """A change that somebody asks for, to a job that no worker holds."""

    before: Job
    """The job as it was read from the queue; not ``RUNNING``."""

    after: Job | None
    """The job as it should be: waiting or finished, with the same id. ``None`` deletes it.

    Its once-key is the same. A waiting job without a once-key may take one that is not known yet.
    """

    @property
    def is_possible(self) -> bool:
        """Whether the job can be read. If not, it can only be deleted."""
        return self.after is None or self.before.is_readable

    @property
    def takes_once_key(self) -> bool:
        """Whether the job gets a once-key."""
        return self.after is not None and self.after.key != self.before.key


class Queue(JobLookups, Records, WorkerRegistry, ABC):
    """A place where jobs wait, and where their outcomes are kept.

    One instance serves a ``TASKS`` alias in a process and is used by many threads at once. Methods raise
    ``QueueUnavailable`` when the store cannot be reached; usually nothing has changed then. If the store hangs, or its
    answer never arrives, the operation may be done, now or later. So only idempotent operations are retried: a finish
    and a renewal show a token, and a tick has a key. Jobs whose fetch was never answered are ready again when their
    leases have run out.
    """

    is_shared: ClassVar[bool] = True
    """Whether another process can fetch from it."""

    keeps_keyed_jobs: ClassVar[bool] = False
    """Whether it refuses to delete a job with a once-key for as long as it has to know the key."""

    database: str | None = None
    """The database alias whose open transaction ``enqueue`` becomes part of; ``None``: no database at all."""

    examiner: ClassVar[type[Examiner]] = Examiner  # what ``loco_doctor`` asks about the store

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        """``alias`` is the one in ``TASKS``, ``options`` its ``OPTIONS``. Raises ``LocoConfigurationError``.

        Must be cheap, and use neither models nor the store: it runs while apps are still being loaded.
        """
        self.alias = alias
        self.options = options

    def limit(self, name: str, default: int | None = None, *, is_required: bool = False) -> int | None:
        """Return the option ``name``: a whole number, or ``None`` for no limit unless a number ``is_required``.

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

    def share_keys(self, folder: Path, seconds: float) -> None:
        """Let the processes of this machine that name the same ``folder`` know each other's once-keys.

        A key is remembered there for ``seconds``. A shared queue does nothing.
        """

    def save(self, folder: Path) -> int:  # noqa: ARG002
        """Move the jobs that wait to files in ``folder``, if they would end with this process; return how many.

        Raises ``OSError`` if that fails; the jobs then stay in the queue. A durable queue does nothing.
        """
        return 0

    def load(self, folder: Path) -> int:  # noqa: ARG002
        """Enqueue the jobs that ``save`` has moved to ``folder``, in this process or another; return how many."""
        return 0

    def clock(self) -> float:
        """Return the time of the clock that judges leases, in seconds since any moment; by default this machine's."""
        return time.time()

    def together(self, act: Callable[[], T]) -> T:
        """Call ``act`` and return its value. In a database, all that it does is stored in one transaction.

        After a conflict with other transactions it is run again, so it must change nothing but the queue.
        """
        return act()

    @abstractmethod
    def enqueue(self, jobs: Sequence[Job]) -> list[Job]:
        """Store new jobs, all or none, in one round trip; return the stored ones.

        A job whose ``key`` the queue has seen before, or whose ``unique_key`` another job holds, is neither stored nor
        returned. Raises ``QueueFull``.
        """

    def restore(self, jobs: Sequence[Job], logs: Mapping[str, str] = NO_LOGS) -> set[str]:  # noqa: ARG002
        """Store jobs as they are, with their ids and histories, waiting or finished; return the ids of the stored ones.

        A job whose id the queue has, whose once-key it has seen, or whose unique key another job holds is not stored.
        A waiting job is due at its ``run_after``. ``logs`` are the logs of some of the jobs, as of ``logs()``.
        All or none are stored, also if more jobs wait than ``enqueue`` allows. By default it raises ``QueueRefused``.
        """
        raise QueueRefused(f"{type(self).__name__} cannot store the jobs of another store: it has no restore().")

    @abstractmethod
    def fetch(self, claim: Claim) -> list[Job]:
        """Hand over jobs that are due, best first: by ``Claim.rank``, from priority and due time, then by ``id``.

        Each is ``RUNNING``, with a token of its own. No other fetch returns it until its lease has run out.
        """

    @abstractmethod
    def finish(self, outcomes: Sequence[Outcome]) -> set[str]:
        """Store how jobs ended (done, failed, to be retried, handed back) in one round trip.

        Returns the ids refused because the job is no longer held with the outcome's token; these jobs are unchanged.
        If an outcome ``waits``, and the ``signals`` of its job have changed since the fetch, it is stored as ``woken``.

        Transactions of others may lock jobs of a queue. In a thread with a store timeout (``timeouts``), the queue
        should not wait for them, because a worker stores all its outcomes in one such thread. It stores the outcomes of
        the other jobs, and then raises ``JobsLocked``.
        """

    def exchange(self, outcomes: Sequence[Outcome], claim: Claim, stored: Callable[[set[str]], None]) -> list[Job]:
        """``finish`` and ``fetch``, in one call to the store if the queue can do that.

        ``stored`` is called with the ids refused as soon as the outcomes are stored. They stay stored if the fetch
        raises.
        """
        stored(self.finish(outcomes))
        return self.fetch(claim)

    @abstractmethod
    def renew(self, jobs: Sequence[Job], lease: float) -> set[str]:
        """Make the leases of held ``jobs`` valid for ``lease`` seconds from now; return the ids no longer held."""

    @abstractmethod
    def update(self, job: Job, field: str, text: str) -> bool:
        """Store ``text`` (JSON) as a ``field``, one of ``WRITTEN_BY_RUN``, of a held job; return whether it is held.

        The other fields of ``job`` that a run writes have their present values: a queue may store them together.
        The text stays with the job however the run ends, except that a ``SUCCESSFUL`` outcome deletes a ``checkpoint``.
        Other outcomes do not change it: the value in their ``job`` may be older than the stored one.
        """

    @abstractmethod
    def rescue(self, limit: int = 100) -> list[Job]:
        """Free up to ``limit`` jobs whose lease has run out, by ``Outcome.of_dead_worker``; return them as freed.

        Any number of processes may call it at once; each such job is freed once.
        """

    @abstractmethod
    def change(self, changes: Sequence[Change]) -> set[str]:
        """Make changes to jobs that no worker holds, each only if the job is still as it was read.

        A change is refused if the job was fetched, has ended, was changed or was deleted since. Returns the ids of the
        refused jobs, which are unchanged. A job that is ready again is due at its ``run_after``. If several jobs take
        one unique key, the first is changed. If a member of a finished batch is ready again, the next round of the
        batch begins, see ``Batches``. The once-key of a deleted job stays known as after ``prune``; a queue that keeps
        the key in the job refuses to delete the job until then.
        """

    @abstractmethod
    def prune(self, older_than: float, limit: int = 1000) -> int:
        """Delete old statistics, and up to ``limit`` jobs that ended ``older_than`` seconds ago; return how many.

        A job with a retention is deleted after ``core.job.retention.kept_until`` instead.
        """

    @abstractmethod
    def clear(self) -> None:
        """Delete every job. For tests."""

    @abstractmethod
    def wait(self, timeout: float) -> bool:
        """Block until jobs may have become due, at most ``timeout`` seconds; return whether they may have.

        One thread per worker calls it in a loop. It may return early, or late if only a deferred job becomes due.
        """

    @abstractmethod
    def interrupt(self) -> None:
        """End every ``wait`` in this process at once, also the ``wait`` of a thread that is about to begin it."""

    def answers(self) -> bool:
        """Return whether the store takes a small write that changes nothing.

        It is called after another call has failed. If it returns ``True``, the store works, and refuses something in
        that call. It takes at most ``PROBE_SECONDS``, because the caller has already waited.
        """
        try:
            with store_timeout(PROBE_SECONDS):
                self.renew([Job(task_path="", backend=self.alias, token="")], 1.0)
        except Exception as error:  # noqa: BLE001 - any error means that it does not work
            logger.debug("TASKS[%r] does not answer: %s", self.alias, error)
            return False
        return True

    def check(self) -> Sequence[CheckMessage]:
        """Return the messages of ``manage.py check``. A store that cannot be reached is not an error."""
        return ()

    def close(self) -> None:
        """Close the connections of the calling thread. The queue stays usable."""
