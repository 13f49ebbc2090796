"""Pauses of queues, commands to workers, and the numbers of jobs, over all aliases of ``TASKS`` of django-loco."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Literal, TypeVar, get_args
from uuid import uuid4

from ..core.compat import TaskResultStatus
from ..core.job import FAILED, READY, RUNNING, SUCCESSFUL, utcnow
from ..core.validation import NAME_REQUIREMENT, did_you_mean, is_name, short
from ..exceptions import InvalidState, QueueUnavailable
from ..log.plain_text import one_line
from ..queues import Queue
from ..queues.records.pauses import JobKind, JobPause
from ..queues.workers import Command, Role, WorkerInfo, with_stacks
from .presentation.age import age
from .presentation.known_tasks import require_known_task
from .search import COUNTED, Count
from .stores import backend_of, queue_of, searched

T = TypeVar("T")
#: The kinds of things that can be paused.
Kind = Literal["queue", "task", "tag"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasWorker(WorkerInfo):
    """A worker, and the alias in ``TASKS`` whose jobs it runs."""

    backend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasPause:
    """A pause of a task or a tag, and the alias in ``TASKS`` whose jobs it holds back."""

    backend: str
    kind: JobKind
    name: str
    """The path of the task, or the tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """The jobs of one queue, by their stored status; numbers are counted up to a cap."""

    backend: str
    """The alias in ``TASKS``."""

    queue: str
    ready: Count
    """Waiting, scheduled, and retrying jobs."""

    running: Count
    failed: Count
    """Failed and cancelled jobs."""

    done: Count
    oldest_due_age: float | None
    """Seconds for which the job that has been due longest waits; ``None``: no job is due, or it was not asked for."""

    is_paused: bool


def pause(
    *,
    queue: str | None = None,
    task: str | None = None,
    tag: str | None = None,
    backend: str | None = None,
    force: bool = False,
) -> None:
    """Let no worker take jobs of a queue, of a task (its path), or with a tag until ``resume``. Running jobs go on.

    The pause is for the alias ``backend`` of ``TASKS``; without it, for every alias, or every one that has the queue.
    Workers obey within a second. Raises ``ValueError`` if no alias has the queue: its ``QUEUES`` lack it, and there are
    no jobs in it; and for a task that neither this code nor a store has, unless ``force`` is true. Raises
    ``QueueUnavailable`` if a store does not answer; the pause is in all others then, and the error names them.
    """
    kind, name = _named(queue, task, tag)
    done = f"The {kind} {name!r} is paused"
    if kind == "queue":
        _in_each(_having(name, backend), lambda alias: queue_of(alias).pause(name), done)
    else:
        if kind == "task" and not force:
            require_known_task(name, searched(backend))
        held_back = JobPause(kind, name)
        _in_each(searched(backend), lambda alias: queue_of(alias).pause_jobs(held_back), done)


def resume(
    *, queue: str | None = None, task: str | None = None, tag: str | None = None, backend: str | None = None
) -> bool:
    """End a pause; return whether there was one. Workers take the jobs within a second, in their old order.

    Without ``backend`` in every alias of ``TASKS``. For errors see ``pause``.
    """
    kind, name = _named(queue, task, tag)
    done = f"The {kind} {name!r} is not paused any more"
    if kind == "queue":
        return any(_in_each(searched(backend), lambda alias: queue_of(alias).resume(name), done))
    held_back = JobPause(kind, name)
    return any(_in_each(searched(backend), lambda alias: queue_of(alias).resume_jobs(held_back), done))


def _named(queue: str | None, task: str | None, tag: str | None) -> tuple[Kind, str]:
    """Return the kind and the name of the one argument that is given. Raises ``ValueError`` for none or several."""
    choices: dict[Kind, str | None] = {"queue": queue, "task": task, "tag": tag}
    given = [(kind, name) for kind, name in choices.items() if name is not None]
    if len(given) != 1:
        raise ValueError("give one of queue, task and tag.")
    kind, name = given[0]
    if not is_name(name):
        raise ValueError(f"{kind} is {short(name)}; it must be {NAME_REQUIREMENT}.")
    return kind, name


def _in_each(names: Sequence[str], action: Callable[[str], T], done: str) -> list[T]:
    """Return ``action(alias)`` for each alias. If some stores do not answer, the error says where it is ``done``."""
    found: dict[str, T] = {}
    errors: dict[str, QueueUnavailable] = {}
    for alias in names:
        try:
            found[alias] = action(alias)
        except QueueUnavailable as error:
            errors[alias] = error
    if errors and not found:
        raise next(iter(errors.values()))
    if errors:
        succeeded, failed = (" and ".join(f"TASKS[{alias!r}]" for alias in part) for part in (found, errors))
        raise QueueUnavailable(
            f"{done} in {succeeded}, but not in {failed}, which cannot be reached. Run it again for "
            f"{'it' if len(errors) == 1 else 'these'}. {next(iter(errors.values()))}"
        )
    return [*found.values()]


def paused(kind: Kind = "queue", *, backend: str | None = None) -> dict[str, list[str]]:
    """Return the names of the queues that are paused, by alias; an alias without any is left out.

    With the ``kind`` ``"task"`` or ``"tag"``, return the paths of tasks, or the tags. Raises ``ValueError`` for another
    ``kind``.
    """
    if kind not in KINDS:
        raise ValueError(f"{short(kind)} cannot be paused.{did_you_mean(str(kind), KINDS)}")
    names = {alias: sorted(_paused(queue_of(alias), kind)) for alias in searched(backend)}
    return {alias: found for alias, found in names.items() if found}


def paused_jobs(*, backend: str | None = None) -> list[AliasPause]:
    """Return the tasks and tags that are paused, by alias and name."""
    return [
        AliasPause(backend=alias, kind=each.kind, name=each.name)
        for alias in searched(backend)
        for each in sorted(queue_of(alias).paused_jobs())
    ]


def _paused(queue: Queue, kind: Kind) -> set[str]:
    return queue.paused() if kind == "queue" else {each.name for each in queue.paused_jobs() if each.kind == kind}


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
        raise ValueError(f"no worker {short(worker_id)} is registered.{did_you_mean(str(worker_id), [*known])}")
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


def stats(*, backend: str | None = None, limit: int = COUNTED, ages: bool = True) -> list[QueueStats]:
    """Return the numbers of jobs, up to ``limit``, of each queue that has jobs or is paused, by alias and name.

    Without ``ages`` each ``oldest_due_age`` is ``None``, which saves a query per queue.
    """
    return [each for alias in searched(backend) for each in _stats(alias, limit, ages=ages)]


def _stats(alias: str, limit: int, *, ages: bool) -> list[QueueStats]:
    queue = queue_of(alias)
    counts = queue.counts(limit + 1)
    is_paused = queue.paused()
    now = utcnow()

    def count(name: str, status: TaskResultStatus) -> Count:
        number = counts.get((name, status), 0)
        return Count(min(number, limit), is_capped=number > limit)

    return [
        QueueStats(
            backend=alias,
            queue=name,
            ready=count(name, READY),
            running=count(name, RUNNING),
            failed=count(name, FAILED),
            done=count(name, SUCCESSFUL),
            oldest_due_age=_age(queue.oldest_waiting((name,)), now) if ages else None,
            is_paused=name in is_paused,
        )
        for name in sorted({name for name, _ in counts} | is_paused)
    ]


def _age(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else max(0.0, (now - since).total_seconds())


def _having(queue_name: str, backend: str | None) -> list[str]:
    """Return the aliases that have a queue. Raises ``ValueError`` if none has."""
    names = {alias: backend_of(alias).queues for alias in searched(backend)}
    if found := [alias for alias, queues in names.items() if not queues or queue_name in queues]:
        return found
    if found := [alias for alias in names if any(name == queue_name for name, _ in queue_of(alias).counts(1))]:
        return found
    known = sorted({name for queues in names.values() for name in queues})
    raise ValueError(f"no alias of TASKS has a queue {queue_name!r}.{did_you_mean(queue_name, known)}")
