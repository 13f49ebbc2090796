"""``RunOptions``: the components of a process and their settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..conf import worker_mode
from ..core.compat import task_backends
from ..jobs.stores import aliases
from ..process.children.identity import ProcessIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The components of a process and the settings of its workers (``None``: as in ``LOCO`` and ``TASKS``)."""

    server: bool = False
    worker: bool = False
    scheduler: bool = False
    schedules: tuple[str, ...] = ()
    """The tags of the schedules to run; empty: all."""

    components: tuple[str, ...] = ()
    """The names of the components to run, out of ``LOCO["COMPONENTS"]``."""

    backends: tuple[str, ...] = ()
    """The ``TASKS`` aliases whose jobs to run."""

    queues: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    concurrency: int | None = None
    drain: bool = False
    max_jobs: int | None = None
    max_memory: int | None = None
    """Megabytes."""

    processes: int = 1
    is_command: bool = False
    """Whether the process was started to run a command of django-loco."""

    identity: ProcessIdentity | None = None
    """Which child of ``loco_worker --processes`` this is."""

    @property
    def may_end(self) -> bool:
        """Whether the workers may stop without being told to."""
        return self.drain or self.max_jobs is not None or self.max_memory is not None

    @property
    def is_isolated(self) -> bool:
        """Whether it is an isolated worker, which runs only suspect jobs."""
        return self.identity is not None and self.identity.is_isolated

    @property
    def component(self) -> str:
        """The component's name in log lines that belong to no component."""
        if self.server:
            return "web"
        return "worker" if self.worker or not self.scheduler else "scheduler"


def mode_of(alias: str) -> str:
    """Return the mode of a ``TASKS`` alias."""
    return worker_mode(alias, task_backends[alias].options)


def served_aliases(run_options: RunOptions) -> Iterator[str]:
    """Yield the aliases that get a worker in this process.

    A ``BackgroundAsync`` alias has a worker in every process that enqueues; here the worker is supervised. An isolated
    worker is alone in its process.
    """
    for alias in run_options.backends if run_options.is_isolated else aliases():
        mode = mode_of(alias)
        if mode == "BackgroundAsync" or (
            run_options.worker and alias in run_options.backends and mode == "BackgroundQueue"
        ):
            yield alias


def queues_of(alias: str, run_options: RunOptions) -> tuple[str, ...] | None:
    """Return the selected queues of ``alias``; ``None``: all."""
    allowed = task_backends[alias].queues
    return run_options.queues and tuple(name for name in run_options.queues if not allowed or name in allowed)
