"""What ``manage.py check`` finds. Every message names the setting and the hint names the remedy.

loco.E001  LOCO or WORKER_MODE is wrong
loco.E002  a queue cannot be made of a TASKS alias
loco.E003  a schedule is wrong (only that one is off)
loco.E004  a component cannot be run
loco.W001  the app is installed, but TASKS does not use it
loco.W002  a connection pool is smaller than one worker needs
loco.W003  a queue's SQLite database is not in WAL mode
loco.W004  jobs wait in memory, in production (--deploy)
loco.W007  a module of tasks, which may declare schedules, cannot be imported
loco.W008  each request begins with a transaction in the SQLite file in which jobs wait
loco.W009  a schedule in the database is wrong (--database)

A queue adds what it has to say of its store: django_loco.queues.redis_check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error
from django.db import OperationalError, connections

from . import components
from .compat import task_backends
from .conf import loco_settings, problems, worker_mode
from .exceptions import LocoConfigurationError
from .queues import build
from .runtime import loco_aliases
from .scheduler.project import current
from .scheduler.registry import Problem, default
from .scheduler.stored import database

#: Connections that a worker process holds beside one per job thread: fetching, heartbeat, upkeep, waiting, and
#: the scheduler that may run beside it.
EXTRA_CONNECTIONS = 5
WRONG_SCHEDULE = "loco.E003"


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Find unknown keys and wrong values in ``LOCO`` and ``WORKER_MODE``."""
    return [Error(problem, id="loco.E001") for problem in problems()]


def check_queues(**kwargs: Any) -> list[CheckMessage]:
    """Find aliases of ``TASKS`` whose queue cannot work, or would not work well."""
    aliases = loco_aliases()
    if not aliases:
        return [
            checks.Warning(
                "django_loco is installed, but no backend in TASKS is one of its own.",
                hint='Set TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend"}}.',
                id="loco.W001",
            )
        ]
    return [message for alias in aliases for message in _check_alias(alias)] if not problems() else []


def _check_alias(alias: str) -> Iterator[CheckMessage]:
    options = task_backends[alias].options
    try:
        queue = build(alias, options)
    except LocoConfigurationError as error:
        yield Error(str(error), id="loco.E002")
        return
    if queue.database is not None:
        yield from _check_database(alias, queue.database)
    yield from queue.check()


def _check_database(alias: str, database: str) -> Iterator[CheckMessage]:
    connection: Any = connections[database]  # SQLite's has methods that its base class has not
    if connection.vendor == "postgresql":
        yield from _check_pool(alias, database, connection.settings_dict)
    elif connection.vendor == "sqlite" and not connection.is_in_memory_db():
        yield from _check_requests(alias, database, connection.settings_dict)
        try:
            with connection.cursor() as cursor:
                mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        except OperationalError:
            return  # There is no file yet, or no way to it: the database's own checks say so.
        if mode.lower() != "wal":
            yield checks.Warning(
                f"The SQLite database {database!r}, where the jobs of TASKS[{alias!r}] wait, is in journal mode "
                f"{mode!r}: its readers and writers block each other.",
                hint='Let django-loco switch it to WAL: take journal_mode out of DATABASES OPTIONS["init_command"].',
                id="loco.W003",
            )


def _check_requests(alias: str, database: str, configured: dict[str, Any]) -> Iterator[CheckMessage]:
    mode = configured.get("OPTIONS", {}).get("transaction_mode", "IMMEDIATE")  # what django-loco makes it
    if configured["ATOMIC_REQUESTS"] and str(mode).upper() != "DEFERRED":
        yield checks.Warning(
            f"DATABASES[{database!r}]['ATOMIC_REQUESTS'] is on, and the jobs of TASKS[{alias!r}] wait in that SQLite "
            "file: each request, also one that only reads, takes the file's one turn to write and keeps it to its end. "
            "Requests are answered one after the other, and jobs wait for them.",
            hint="Turn ATOMIC_REQUESTS off and put atomic() around what writes; or mark views that only read with "
            "django.db.transaction.non_atomic_requests; or let jobs wait in a file of their own, named in "
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
    needed = loco_settings().NUM_WORKERS + EXTRA_CONNECTIONS
    if limit < needed:
        yield checks.Warning(
            f"DATABASES[{database!r}]['OPTIONS']['pool'] holds {limit} connections; a worker of TASKS[{alias!r}] "
            f"wants up to {needed} (NUM_WORKERS + {EXTRA_CONNECTIONS}).",
            hint=f"Set max_size to {needed} or more, or LOCO['NUM_WORKERS'] to {max(limit - EXTRA_CONNECTIONS, 1)}.",
            id="loco.W002",
        )


def check_schedules(**kwargs: Any) -> list[CheckMessage]:
    """Find schedules that are wrong, of code and settings; each is off, and the others run."""
    return [] if problems() else [_told(problem) for problem in default.problems()]


def check_stored_schedules(databases: Collection[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Find schedules in the database that are wrong: with ``--database``, as Django does with all that asks one.

    They are warnings, for ``migrate`` looks at these checks as well, and must not be stopped by a row.
    """
    if problems() or database() not in (databases or ()):
        return []
    known = default.problems()
    found = [problem for problem in current().registry.problems() if problem not in known]
    return [checks.Warning(problem.message, hint=problem.hint, id="loco.W009") for problem in found]


def _told(problem: Problem) -> CheckMessage:
    if problem.is_certain:
        return Error(problem.message, hint=problem.hint, id=WRONG_SCHEDULE)
    return checks.Warning(problem.message, hint=problem.hint, id="loco.W007")


def check_components(**kwargs: Any) -> list[CheckMessage]:
    """Find components that cannot be imported, are none, or share a name."""
    if problems():
        return []
    try:
        components.known()
    except LocoConfigurationError as error:
        return [Error(str(error), id="loco.E004")]
    return []


def check_deployment(**kwargs: Any) -> list[CheckMessage]:
    """Find what is right in development and wrong in production."""
    if problems():
        return []
    return [
        checks.Warning(
            f"The jobs of TASKS[{alias!r}] wait in the memory of the process that enqueued them; kill -9 loses them.",
            hint='Set WORKER_MODE = "BackgroundQueue" and run manage.py loco_worker.',
            id="loco.W004",
        )
        for alias in loco_aliases()
        if worker_mode(task_backends[alias].options) == "BackgroundAsync"
    ]
