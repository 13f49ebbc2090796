"""Checks of the stores: missing tables, jobs that no worker takes, jobs without any worker."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from typing import Any

from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage
from django.db import DatabaseError, router
from django.utils.text import capfirst

from ..conf import loco_settings, worker_mode
from ..core.compat import task_backends
from ..core.job import utcnow
from ..exceptions import LocoConfigurationError, QueueUnavailable
from ..jobs import COUNTED
from ..jobs.stores import aliases
from ..queues import mistakes, queue_for
from ..queues.database.availability import is_unmigrated, what_is_missing
from ..queues.database.jobs.lookups import unfinished_jobs
from ..queues.memory import spool
from ..scheduler.sources.tables import database_alias
from .settings import if_settings_are_valid


@if_settings_are_valid
def check_migrations(databases: Collection[str] | None = None, **kwargs: Any) -> Iterator[CheckMessage]:
    """Find databases that lack migrations of the app. Runs with ``--database``, but not in the command ``migrate``."""
    is_migrating = next((word for word in sys.argv[1:] if not word.startswith("-")), "") == "migrate"
    used = [] if is_migrating else [database_alias(), *_databases_of_queues()]
    for name in databases or ():
        if name in used and is_unmigrated(name):
            missing = what_is_missing(name)
            yield checks.Warning(
                f"In DATABASES[{name!r}] {missing.trouble}.",
                hint=f"{capfirst(missing.remedy)}.",
                id="loco.W014",
            )


@if_settings_are_valid
def check_waiting_jobs(databases: Collection[str] | None = None, **kwargs: Any) -> Iterator[CheckMessage]:
    """Find jobs that no worker of this project takes, in databases that store jobs or did. Runs with ``--database``."""
    keeping = ["default", *_databases_of_queues()]
    for name in databases or ():
        if name in keeping:
            yield from _check_table(name)


def _databases_of_queues() -> list[Any]:
    return [task_backends[alias].options.get("database", "default") for alias in aliases()]


def _check_table(database: str) -> Iterator[CheckMessage]:
    model = apps.get_model("django_loco", "StoredJob")
    if not router.allow_migrate_model(database, model):
        return
    try:
        found = unfinished_jobs(database, COUNTED)
    except (DatabaseError, LocoConfigurationError):
        return  # This database does not have the table (yet).
    for (alias, queue_name), count in sorted(found.items()):
        if reason := _why_unserved(database, alias, queue_name):
            number = count if count < COUNTED else f"{COUNTED:,} or more"
            yield checks.Warning(
                f"{number} job(s) of TASKS[{alias!r}] wait in queue {queue_name!r} in DATABASES[{database!r}], and no "
                f"worker takes them: {reason[0]}",
                hint=reason[1],
                id="loco.W011",
            )


def _why_unserved(database: str, alias: str, queue_name: str) -> tuple[str, str] | None:
    """Return a reason and a remedy; ``None`` if a worker of this project takes such jobs."""
    if alias not in aliases():
        return f"TASKS no longer has the alias {alias!r}.", f"Restore TASKS[{alias!r}] until they have run."
    try:
        is_elsewhere = queue_for(alias).database != database
    except LocoConfigurationError:
        return None  # Other checks report that.
    if is_elsewhere:
        return (
            f"TASKS[{alias!r}] keeps its jobs elsewhere now.",
            "Start a worker with the settings that stored them, until they have run.",
        )
    if task_backends[alias].queues and queue_name not in task_backends[alias].queues:
        return f"it is not in TASKS[{alias!r}]['QUEUES'].", f"Add {queue_name!r} to QUEUES until they have run."
    return None


@if_settings_are_valid
def check_deployment(*, asks_stores: bool = True, **kwargs: Any) -> Iterator[CheckMessage]:
    """Find settings that are for development only and, with ``asks_stores``, jobs without a worker."""
    for alias in aliases():
        if not mistakes(alias, task_backends[alias].options):
            yield from _check_workers(alias, asks_stores)


@if_settings_are_valid
def check_locks(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find aliases of ``TASKS`` whose locks are in the memory of each process."""
    for alias in aliases():
        if mistakes(alias, task_backends[alias].options):
            continue
        try:
            is_shared = queue_for(alias).is_shared
        except LocoConfigurationError:
            continue  # Another check reports that.
        if not is_shared:
            yield checks.Warning(
                f"The locks of TASKS[{alias!r}] are in the memory of each process, as its jobs are: two processes do "
                "not exclude each other.",
                hint='Set WORKER_MODE = "BackgroundQueue" if the project uses django_loco.locks with this alias, or '
                "silence this warning if not.",
                id="loco.W017",
            )


def _check_workers(alias: str, asks_store: bool) -> Iterator[CheckMessage]:
    if worker_mode(alias, task_backends[alias].options) == "BackgroundAsync":
        yield checks.Warning(
            f"The jobs of TASKS[{alias!r}] wait in the memory of the process that enqueued them; kill -9 loses them.",
            hint='Set WORKER_MODE = "BackgroundQueue" and run manage.py loco_worker.',
            id="loco.W004",
        )
        if (folder := spool.folder_for(alias)) is not None and (problem := spool.problem_of(folder)):
            yield checks.Warning(
                f"The jobs of TASKS[{alias!r}] that wait in memory are lost when their process stops: {problem}.",
                hint=spool.REMEDY,
                id="loco.W018",
            )
        return
    if not asks_store:
        return
    try:
        queue = queue_for(alias)
        oldest = queue.oldest_waiting()
        alive = [worker for worker in queue.workers() if worker.is_alive and not worker.is_scheduler]
    except (LocoConfigurationError, QueueUnavailable):
        return  # Other checks report that.
    waiting = 0.0 if oldest is None else (utcnow() - oldest).total_seconds()
    if not alive and waiting > loco_settings().LEASE:
        yield checks.Warning(
            f"A job of TASKS[{alias!r}] has been waiting for {waiting:.0f} s, and no worker is running.",
            hint="Start manage.py loco_worker.",
            id="loco.W012",
        )
