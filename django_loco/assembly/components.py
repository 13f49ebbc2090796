"""Chooses the components of a process: the scheduler, the workers, and the project's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.db import connections

from ..component import Component
from ..conf import loco_settings
from ..exceptions import LocoConfigurationError
from ..process.children.isolated import isolation
from ..queues import queue_for
from ..queues.database.availability import is_unmigrated, what_is_missing
from ..scheduler import Scheduler
from ..worker import in_process
from ..worker.fetching.drain_group import DrainGroup
from ..worker.maintenance.memory_limit import MemoryLimit
from ..worker.pools.request_priority import shorten_turns
from .project_components import registered
from .run_options import RunOptions, queues_of, served_aliases
from .supervised_component import ComponentSpec


def component_specs(
    run_options: RunOptions,
    retire: Callable[[], None] = lambda: None,
    end_process: Callable[[], object] | None = None,
) -> list[ComponentSpec]:
    """Return the components to supervise, in shutdown order: components that enqueue jobs come before the workers.

    ``retire`` is called when the process uses more than ``--max-memory``, ``end_process`` when somebody stops a worker.
    """
    specs = []
    if run_options.scheduler:
        specs.append(ComponentSpec("scheduler", partial(Scheduler, tags=run_options.schedules)))
    specs += [ComponentSpec(name, registered()[name]) for name in run_options.components]
    aliases = list(served_aliases(run_options))
    drain_group = DrainGroup(alias for alias in aliases if alias in run_options.backends)
    for alias in aliases:
        name = "worker" if len(aliases) == 1 else f"worker of {alias!r}"
        may_end = alias in run_options.backends and run_options.may_end
        in_process.leave_to_supervisor(alias)
        make = partial(make_worker, alias, run_options, end_process, drain_group)
        specs.append(ComponentSpec(name, make, may_end=may_end))
    if run_options.max_memory is not None:
        specs.append(ComponentSpec("memory limit", partial(MemoryLimit, run_options.max_memory, retire)))
    return specs


def make_worker(
    alias: str,
    run_options: RunOptions,
    end_process: Callable[[], object] | None = None,
    drain_group: DrainGroup | None = None,
) -> Component:
    """Return a new worker for ``alias``. Raises ``LocoConfigurationError`` if its tables are missing."""
    if run_options.server:
        shorten_turns()
    try:
        if problem := missing_tables(alias):
            raise LocoConfigurationError(problem)
        if alias not in run_options.backends:  # only for jobs that this process enqueues
            return in_process.worker_for(alias)
        isolate = None
        if queue_for(alias).is_shared and not run_options.is_isolated:
            isolate = isolation(alias, loco_settings().SHUTDOWN_TIMEOUT, is_command=run_options.is_command)
        return in_process.worker_for(
            alias,
            queues=queues_of(alias, run_options),
            tags=run_options.tags,
            threads=run_options.concurrency,
            coroutines=run_options.concurrency,
            drain=run_options.drain,
            drain_group=drain_group,
            max_jobs=run_options.max_jobs,
            worker_id=run_options.identity.worker_id if run_options.identity else None,
            dead=run_options.identity.dead if run_options.identity else (),
            isolate=isolate,
            is_isolated=run_options.is_isolated,
            end_process=None if run_options.server else end_process,
        )
    finally:
        connections.close_all()


def missing_tables(alias: str) -> str | None:
    """Return which migrations the queue of ``alias`` lacks; ``None`` if it lacks none or does not answer."""
    database = queue_for(alias).database
    if database is None or not is_unmigrated(database):
        return None
    missing = ": ".join(what_is_missing(database))
    return f"The jobs of TASKS[{alias!r}] are in DATABASES[{database!r}], where {missing}."
