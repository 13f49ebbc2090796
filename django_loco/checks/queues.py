"""Checks of the aliases in ``TASKS``, and of the stores behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError, connections

from .. import jobs
from ..conf import loco_settings, problems, worker_mode
from ..core.compat import task_backends
from ..core.validation import NAME_REQUIREMENT, did_you_mean, is_name
from ..exceptions import LocoConfigurationError
from ..queues import build, mistakes
from ..queues.database.sqlite.file_path import file_of
from ..queues.memory.spool import folder_for
from ..tasks.tasks_setting import KEYS

#: Connections of a worker process in addition to one per job thread, and outside of Django's pool: fetcher, heartbeat,
#: housekeeping, listener, isolation, and perhaps a scheduler. Async jobs that use the database need a connection for
#: each lane in addition; most projects have no such jobs.
EXTRA_CONNECTIONS = 6


def check_queues(*, asks_stores: bool = True, **kwargs: Any) -> list[CheckMessage]:
    """Find aliases of ``TASKS`` whose queue cannot work, or would work badly.

    ``asks_stores=False`` leaves out ``Queue.check``, for callers that ask the queues themselves.
    """
    aliases = jobs.aliases()
    if not aliases:
        return [
            checks.Warning(
                "django_loco is installed, but TASKS does not use its backend, so no schedule can run.",
                hint='Set TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend"}}.',
                id="loco.W001",
            )
        ]
    return [message for alias in aliases for message in _check_alias(alias, asks_stores)] if not problems() else []


def _check_alias(alias: str, asks_store: bool) -> Iterator[CheckMessage]:
    options = task_backends[alias].options
    yield from _check_keys(alias, task_backends.settings[alias])
    if found := mistakes(alias, options):
        yield from (Error(mistake, id="loco.E002") for mistake in found)
        return
    try:
        queue = build(alias, options)
    except LocoConfigurationError as error:
        yield Error(str(error), id="loco.E002")
        return
    if queue.database is not None:
        yield from _check_database(alias, queue.database)
    if asks_store:
        yield from queue.check()
    yield from _check_files(alias)


def _check_files(alias: str) -> Iterator[CheckMessage]:
    folder = folder_for(alias)
    if (
        folder is not None
        and any(folder.glob("*.jobs"))
        and worker_mode(alias, task_backends[alias].options) != "BackgroundAsync"
    ):
        yield checks.Warning(
            f"{folder} has jobs of TASKS[{alias!r}] that waited in memory. No worker takes them: the mode is no "
            "longer BackgroundAsync.",
            hint='Start the site with WORKER_MODE = "BackgroundAsync" until they have run, or delete the files.',
            id="loco.W011",
        )


def _check_keys(alias: str, given: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for key in given:
        if key not in KEYS:
            yield Error(f"TASKS[{alias!r}][{key!r}] is unknown.{did_you_mean(str(key), KEYS)}", id="loco.E002")
    names = given.get("QUEUES", [])
    if not isinstance(names, list | tuple | set | frozenset) or not all(is_name(name) for name in names):
        yield Error(
            f"TASKS[{alias!r}]['QUEUES'] is {names!r}; it must be a list of names, each {NAME_REQUIREMENT}.",
            id="loco.E002",
        )


def _check_database(alias: str, database: str) -> Iterator[CheckMessage]:
    connection: Any = connections[database]  # SQLite's connection has methods that the base class lacks
    if connection.vendor == "postgresql":
        yield from _check_pool(alias, database, connection.settings_dict)
    elif connection.vendor == "sqlite" and not connection.is_in_memory_db():
        yield from _check_requests(alias, database, connection.settings_dict)
        if not file_of(connection).exists():
            return  # connecting would create it
        try:
            with connection.cursor() as cursor:
                mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        except DatabaseError:
            return  # The file cannot be opened or is no database. The checks of the database report that.
        if mode.lower() != "wal":
            yield checks.Warning(
                f"The SQLite database {database!r}, where the jobs of TASKS[{alias!r}] wait, is in journal mode "
                f"{mode!r}: its readers and writers block each other.",
                hint='Let django-loco switch it to WAL: take journal_mode out of DATABASES OPTIONS["init_command"].',
                id="loco.W003",
            )


def _check_requests(alias: str, database: str, configured: dict[str, Any]) -> Iterator[CheckMessage]:
    mode = configured.get("OPTIONS", {}).get("transaction_mode", "IMMEDIATE")  # the default that django-loco sets
    if configured["ATOMIC_REQUESTS"] and str(mode).upper() != "DEFERRED":
        yield checks.Warning(
            f"DATABASES[{database!r}]['ATOMIC_REQUESTS'] is on, and the jobs of TASKS[{alias!r}] are in that SQLite "
            "file: each request, even if it only reads, locks the file for writing until it ends. So only one request "
            "is answered at a time, and jobs wait for it.",
            hint="Turn ATOMIC_REQUESTS off and use atomic() where you write; or mark views that only read with "
            "django.db.transaction.non_atomic_requests; or keep the jobs in another file, named in "
            f"TASKS[{alias!r}]['OPTIONS']['database']; or use PostgreSQL.",
            id="loco.W008",
        )


def _check_pool(alias: str, database: str, configured: dict[str, Any]) -> Iterator[CheckMessage]:
    pool = configured.get("OPTIONS", {}).get("pool")
    if not pool:
        return
    # psycopg_pool: without max_size the pool stays at min_size, which is 4 by default.
    size = pool if isinstance(pool, dict) else {}
    limit = size.get("max_size") or size.get("min_size", 4)
    needed = loco_settings().NUM_WORKERS
    if limit < needed:
        instead = f", or LOCO['NUM_WORKERS'] to {limit}" if limit > 0 else ""
        yield checks.Warning(
            f"DATABASES[{database!r}]['OPTIONS']['pool'] holds {limit} connections; the jobs of a worker of "
            f"TASKS[{alias!r}] want up to {needed} (NUM_WORKERS), and more if async jobs use the database. With fewer "
            "they wait for each other, and a job that waits for longer than the pool's timeout, 30 seconds by default, "
            "fails.",
            hint=f"Set OPTIONS['pool'] to {{'max_size': {needed}}} or more{instead}.",
            id="loco.W002",
        )
