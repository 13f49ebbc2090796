"""Which parts a process is to have: from what was asked for to what a supervisor keeps running."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from django.core.management.base import CommandError
from django.db import connections

from ..component import Component
from ..conf import did_you_mean, loco_settings, worker_mode
from ..core.compat import task_backends
from ..exceptions import LocoConfigurationError
from ..log.bounded import get_bounded_logger
from ..process.children.identity import ProcessIdentity
from ..process.children.isolated import isolation
from ..process.process import Process
from ..process.server import Server
from ..process.stack_dump import log_stacks
from ..process.systemd import SystemdNotifier
from ..queues import Claim, queue_for
from ..queues.database.migrated import is_unmigrated, migrate_command
from ..scheduler import Scheduler
from ..shutdown import Shutdown
from ..worker import Worker, in_process
from ..worker.maintenance.isolation import Isolated
from ..worker.maintenance.memory_limit import MemoryLimit
from ..worker.pools.request_priority import shorten_turns
from . import project_components as components
from .supervisor import Part, Supervisor

#: Why a process ends that has run as many jobs, or takes up as much memory, as it may.
SPENT = "it has done its share"

logger = get_bounded_logger("django_loco.servers")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The parts of a process, and how its workers are set (``None``: as ``LOCO`` and ``TASKS`` have it)."""

    server: bool = False
    worker: bool = False
    scheduler: bool = False
    schedules: tuple[str, ...] = ()
    """The tags of the schedules that the scheduler fires; none: all."""

    components: tuple[str, ...] = ()
    """The names of those in ``LOCO["COMPONENTS"]`` that run."""

    backends: tuple[str, ...] = ()
    """The ``TASKS`` aliases whose jobs the workers run."""

    queues: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    concurrency: int | None = None
    drain: bool = False
    max_jobs: int | None = None
    max_memory: int | None = None
    """Megabytes."""

    processes: int = 1
    is_command: bool = False
    """Whether the process was started for a command of django-loco."""

    identity: ProcessIdentity | None = None
    """Which of several processes this is."""

    @property
    def may_end(self) -> bool:
        """Whether the workers end by themselves."""
        return self.drain or self.max_jobs is not None or self.max_memory is not None

    @property
    def is_isolated(self) -> bool:
        """Whether its worker runs suspects, and these alone."""
        return self.identity is not None and self.identity.is_isolated

    @property
    def component(self) -> str:
        """What a log line comes from that cannot be told otherwise."""
        if self.server:
            return "web"
        return "worker" if self.worker or not self.scheduler else "scheduler"


def mode_of(alias: str) -> str:
    """Return the mode of a ``TASKS`` alias."""
    return worker_mode(alias, task_backends[alias].options)


def served(run_options: RunOptions) -> Iterator[str]:
    """Yield the aliases for which the process has a worker.

    What runs in the process that enqueues it needs one in each process; then it is supervised like the others. An
    isolated worker is alone in its process.
    """
    for alias in run_options.backends if run_options.is_isolated else in_process.loco_aliases():
        mode = mode_of(alias)
        if mode == "BackgroundAsync" or (
            run_options.worker and alias in run_options.backends and mode == "BackgroundQueue"
        ):
            yield alias


def parts_of(run_options: RunOptions, retire: Callable[[], None] = lambda: None) -> list[Part]:
    """Return the parts in the order in which they are to take nothing new: what makes jobs before what runs them.

    ``retire`` is called when the process takes up too much memory.
    """
    parts = [Part("scheduler", partial(Scheduler, tags=run_options.schedules))] if run_options.scheduler else []
    parts += components.parts(run_options.components)
    aliases = list(served(run_options))
    for alias in aliases:
        name = "worker" if len(aliases) == 1 else f"worker of {alias!r}"
        may_end = alias in run_options.backends and run_options.may_end
        parts.append(Part(name, partial(make_worker, alias, run_options), may_end=may_end))
    if run_options.max_memory is not None:
        parts.append(Part("memory limit", partial(MemoryLimit, run_options.max_memory, retire)))
    return parts


def make_worker(alias: str, run_options: RunOptions) -> Component:
    """Return a new worker for ``alias``. Raises ``LocoConfigurationError`` if its tables are missing."""
    if run_options.server:
        shorten_turns()
    try:
        if problem := missing_tables(alias):
            raise LocoConfigurationError(problem)
        if alias not in run_options.backends:  # it only runs what this process itself enqueues
            return in_process.worker_for(alias)
        return in_process.worker_for(
            alias,
            queues=queues_of(alias, run_options),
            tags=run_options.tags,
            threads=run_options.concurrency,
            coroutines=run_options.concurrency,
            drain=run_options.drain,
            max_jobs=run_options.max_jobs,
            worker_id=run_options.identity.worker_id if run_options.identity else None,
            dead=run_options.identity.dead if run_options.identity else (),
            isolate=_isolate(alias, run_options),
            is_isolated=run_options.is_isolated,
        )
    finally:
        connections.close_all()


def _isolate(alias: str, run_options: RunOptions) -> Callable[[Claim], Isolated] | None:
    """Return what starts isolated workers; ``None``: this worker has none."""
    if run_options.is_isolated or not queue_for(alias).is_shared:
        return None
    return isolation(alias, loco_settings().SHUTDOWN_TIMEOUT, is_command=run_options.is_command)


def queues_of(alias: str, run_options: RunOptions) -> tuple[str, ...] | None:
    """Return which queues of ``alias`` are chosen; ``None``: all."""
    known = task_backends[alias].queues
    return run_options.queues and tuple(name for name in run_options.queues if not known or name in known)


def missing_tables(alias: str) -> str | None:
    """Say which migrations are missing for the queue of ``alias``; ``None``: none, or the database is away for now."""
    database = queue_for(alias).database
    if database is None or not is_unmigrated(database):
        return None
    return (
        f"The jobs of TASKS[{alias!r}] are in DATABASES[{database!r}], where migrations of django_loco are missing: "
        f"run {migrate_command(database)}."
    )


def process_of(
    run_options: RunOptions,
    server: Server,
    announce: Callable[[str], None],
    *,
    reloads: bool = False,
    is_last: bool = False,
) -> Process:
    """Put a process together: ``server`` and the parts chosen, under one supervisor and one shutdown.

    ``reloads`` and ``is_last``: see ``Process``.
    """
    shutdown = Shutdown(loco_settings().SHUTDOWN_TIMEOUT)

    def workers() -> list[Worker]:
        return [component for component in supervisor.components if isinstance(component, Worker)]

    def retire() -> None:
        for worker in workers():
            worker.retire()

    def on_drained() -> None:
        shutdown.request(SPENT if any(worker.is_spent for worker in workers()) else "all jobs are done")

    supervisor = Supervisor(parts_of(run_options, retire), on_drained)
    systemd = SystemdNotifier.of_process()
    return Process(
        server,
        supervisor,
        shutdown,
        announce=announce,
        running=lambda: supervisor.components,
        # What waits in memory is kept for the next process.
        finish=lambda: in_process.stop(time.monotonic()),
        reloads=reloads,
        others=_other_signals(run_options, supervisor),
        systemd=systemd,
        sign_seconds=run_options.identity.sign_seconds if run_options.identity else systemd.watchdog / 3,
        is_well=lambda: not any(part.get("stuck") for part in supervisor.health()["components"].values()),
        is_last=is_last,
    )


def _other_signals(run_options: RunOptions, supervisor: Supervisor) -> dict[signal.Signals, Callable[[], object]]:
    """Return what further signals do. Where there is a server, Ctrl-Z in its terminal suspends it as it always did."""
    found: dict[signal.Signals, Callable[[], object]] = {signal.SIGTTIN: log_stacks}
    return found if run_options.server else found | {signal.SIGTSTP: partial(_quiet, supervisor)}


def _quiet(supervisor: Supervisor) -> None:
    logger.info("Quiet: nothing new is begun from now on. SIGTERM ends the process")
    supervisor.quiet()


def reachable(backends: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of ``backends`` whose jobs a process that only works can get at.

    Raises ``CommandError`` if there are none: nothing could ever reach that process.
    """
    found = tuple(a for a in backends if mode_of(a) == "BackgroundQueue" and queue_for(a).is_shared)
    if found:
        return found
    if not backends:
        raise CommandError(
            "No backend in TASKS is django-loco's. Set "
            'TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend"}}.'
        )
    reasons = " ".join(f"TASKS[{alias!r}] is in mode {mode_of(alias)!r}{_memory(alias)}." for alias in backends)
    raise CommandError(
        f"Nothing could ever reach this worker: its jobs never leave the process that enqueues them. {reasons} "
        'Set WORKER_MODE = "BackgroundQueue" and a queue that processes share, which "database" is; '
        "or run the jobs beside the site, with manage.py loco_start --worker."
    )


def _memory(alias: str) -> str:
    return " with its queue in memory" if mode_of(alias) == "BackgroundQueue" else ""


def known_queues(backends: tuple[str, ...], queues: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return those of ``backends`` that have one of ``queues``. Raises ``CommandError`` for one that none has."""
    if queues is None:
        return backends
    known = {alias: task_backends[alias].queues for alias in backends}
    every = sorted(set().union(*known.values()))
    for name in queues:
        if not any(not names or name in names for names in known.values()):
            raise CommandError(f"There is no queue {name!r} in TASKS.{did_you_mean(name, every)}")
    return tuple(alias for alias, names in known.items() if not names or names & set(queues))


def other_queues(backends: tuple[str, ...], excluded: tuple[str, ...]) -> tuple[str, ...]:
    """Return the queues of ``backends`` less those ``excluded``.

    Raises ``CommandError`` if none is left, for a name that is no queue, and for a backend that has no list of queues:
    a worker asks for jobs by the names of the queues that it wants.
    """
    known_queues(backends, excluded)
    for alias in backends:
        if not task_backends[alias].queues:
            raise CommandError(
                f"TASKS[{alias!r}]['QUEUES'] is empty, which allows any name: --exclude-queues leaves nothing certain. "
                "List the queues there, or name those that are wanted with --queues."
            )
    every = set().union(*(task_backends[alias].queues for alias in backends))
    if not (found := tuple(sorted(every - set(excluded)))):
        raise CommandError("--exclude-queues leaves no queue. Leave it out, or name fewer.")
    return found


def words(option: str, text: str | None) -> tuple[str, ...] | None:
    """Return the words of ``--tags a,b``; none for ``""``. Raises ``CommandError`` if one of several is empty."""
    if text is None:
        return None
    found = tuple(word.strip() for word in text.split(",")) if text.strip() else ()
    if not all(found):
        raise CommandError(f"{option} {text!r} has an empty word; it is like {option} a,b.")
    return found
