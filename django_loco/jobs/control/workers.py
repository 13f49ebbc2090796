"""The registered workers and schedulers, and commands to workers, over all aliases of ``TASKS`` of django-loco."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from uuid import uuid4

from ...core.validation import did_you_mean, short
from ...exceptions import InvalidState
from ...log.plain_text import one_line
from ...queues.workers import Command, Role, WorkerInfo, with_stacks
from ..presentation.age import age
from ..stores import queue_of, searched


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasWorker(WorkerInfo):
    """A worker, and the alias in ``TASKS`` whose jobs it runs."""

    backend: str


def workers(*, backend: str | None = None) -> list[AliasWorker]:
    """Return the workers that are registered, also dead ones that were not unregistered yet; see ``is_alive``.

    Raises ``ValueError`` if ``backend`` is not an alias of django-loco, and ``QueueUnavailable``. So do ``schedulers``,
    ``paused`` and ``stats``.
    """
    return workers_and_schedulers(backend)[0]


def schedulers(*, backend: str | None = None) -> list[AliasWorker]:
    """Return the registered schedulers, also dead ones. Each is registered in every alias, and returned once."""
    return workers_and_schedulers(backend)[1]


def workers_and_schedulers(backend: str | None = None) -> tuple[list[AliasWorker], list[AliasWorker]]:
    """Return the workers and the schedulers, and read each registry only once."""
    registered = _registered(backend)
    entries = sorted((each for each in registered if each.is_scheduler), key=lambda each: -each.heartbeat_age)
    by_id = {each.scheduler_id: replace(each, worker_id=each.scheduler_id) for each in entries}  # the youngest entry
    schedulers = sorted(by_id.values(), key=attrgetter("host", "pid", "worker_id"))
    return [each for each in registered if not each.is_scheduler], schedulers


def _registered(backend: str | None) -> list[AliasWorker]:
    return [
        AliasWorker(backend=alias, **asdict(worker))
        for alias in searched(backend)
        for worker in queue_of(alias).workers()
    ]


def quiet(worker_id: str, /, *, backend: str | None = None) -> None:
    """Let a worker take no more jobs until ``unquiet``. It obeys within two seconds; its running jobs go on.

    Jobs that it has fetched and not begun go back to the queue. This ends with the worker: the next one of its process
    takes jobs. Raises ``ValueError`` if no such worker is registered, and ``InvalidState`` for one that takes no
    commands: it is dead, runs an earlier release, or is an isolated worker, which belongs to another worker.
    """
    _tell(worker_id, Command.QUIET, backend)


def unquiet(worker_id: str, /, *, backend: str | None = None) -> None:
    """Let a worker take jobs again after ``quiet``. A worker that SIGTSTP has made quiet stays quiet.

    For errors see ``quiet``.
    """
    _tell(worker_id, Command.RUN, backend)


def stop(worker_id: str, /, *, backend: str | None = None) -> None:
    """End the process of a worker as SIGTERM does: its jobs have ``SHUTDOWN_TIMEOUT`` seconds to end.

    A supervisor of the process, such as systemd or ``--processes``, may start it again. Also raises ``InvalidState``
    for a worker in the process of a web server or of other code, which goes on. For other errors see ``quiet``.
    """
    _tell(worker_id, Command.STOP, backend)


def ask_stacks(worker_id: str, /, *, backend: str | None = None) -> None:
    """Let a worker show the stacks of its process in ``workers()``, within two seconds and for five minutes.

    For errors see ``quiet``.
    """
    worker = _worker_for(worker_id, Command.RUN, backend)
    queue = queue_of(worker.backend)
    _leave(worker, with_stacks(queue.command_of(worker_id), uuid4().hex))


def _tell(worker_id: str, command: Command, backend: str | None) -> None:
    _leave(_worker_for(worker_id, command, backend), command)


def _worker_for(worker_id: str, command: Command, backend: str | None) -> AliasWorker:
    """Return the worker, if it would obey ``command``. Raises ``ValueError`` and ``InvalidState``."""
    workers, schedulers = workers_and_schedulers(backend)
    known = {each.worker_id: each for each in (*schedulers, *workers)}
    worker = known.get(worker_id)
    if worker is None:
        names = [each.worker_id for each in workers]  # a scheduler takes no commands
        raise ValueError(f"no worker {short(worker_id)} is registered.{did_you_mean(str(worker_id), names)}")
    if problem := _why_not(worker, command):
        raise InvalidState(f"Worker {one_line(worker_id)} {problem}")
    return worker


def _leave(worker: AliasWorker, command: str) -> None:
    if not queue_of(worker.backend).command(worker.worker_id, command):
        raise InvalidState(f"Worker {one_line(worker.worker_id)} has ended meanwhile.")


def _why_not(worker: AliasWorker, command: Command) -> str:
    """Return why a worker would not obey, after its name; empty if it would."""
    if not worker.is_alive:
        silent = age(worker.heartbeat_age)
        return f"has given no sign of life for {silent}: it has died, or cannot reach its queue."
    if not worker.role:
        return "runs an earlier release of django-loco, which takes no commands."
    if worker.is_scheduler:
        return "is a scheduler, which takes no commands. Stop its process."
    if worker.role == Role.ISOLATED:
        return "runs one suspect job for another worker, and ends by itself. Tell that worker."
    if command == Command.STOP and worker.role != Role.WORKER:
        return "shares its process with a web server or other code. Quiet it, or stop that process."
    return ""
