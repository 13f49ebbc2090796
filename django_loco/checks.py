"""System checks. Each message names the setting, each hint the remedy.

loco.E001  LOCO or WORKER_MODE is wrong
loco.E002  the queue of a TASKS alias cannot be created
loco.E003  a schedule is wrong (only that one is disabled)
loco.E004  a component cannot run
loco.E005  TASKS uses the app, but the app is not installed (found by django_loco.backend)
loco.E006  two tasks have the same alias, or a task has the path of an alias (found by tasks.aliases)
loco.E007  LOCO["COMMANDS"] names a management command that does not exist
loco.W001  the app is installed, but TASKS does not use it
loco.W002  a connection pool is smaller than one worker needs
loco.W003  a queue's SQLite database is not in WAL mode
loco.W004  jobs are kept in memory only, in production (--deploy)
loco.W007  a module that may declare schedules cannot be imported
loco.W008  each request starts a transaction in the SQLite file that stores the jobs
loco.W009  a schedule in the database is wrong (--database)
loco.W010  LOCO["TASKS"] has options for a task that does not exist
loco.W011  waiting jobs that no worker takes (jobs in a database: --database)
loco.W012  waiting jobs while no worker is running (--deploy)
loco.W013  stored jobs and schedules may run a management command that can run any code
loco.W014  migrations of the app are missing in a database that it uses (--database)

Queues add checks of their store, such as ``queues.redis.check``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import wraps
from typing import Any

from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.management import get_commands
from django.db import DatabaseError, OperationalError, connections, router
from django.db.models import Count, QuerySet

from .assembly import project_components
from .conf import did_you_mean, loco_settings, problems, worker_mode
from .core.compat import task_backends
from .core.job import READY, RUNNING, utcnow
from .core.validation import NAME_REQUIREMENT, is_name
from .exceptions import LocoConfigurationError, QueueUnavailable
from .queues import build, mistakes, queue_for
from .queues.database.migrated import is_unmigrated, migrate_command
from .queues.memory.spool import folder_for
from .scheduler.api.control import current
from .scheduler.registry import default
from .scheduler.sources.database import database_alias
from .tasks.results import load_task
from .tasks.setting import KEYS
from .worker.in_process import loco_aliases

#: Connections that a worker process holds beside one per job thread: fetcher, heartbeat, housekeeping, listener,
#: isolation, and the scheduler that may run beside it.
EXTRA_CONNECTIONS = 6
WRONG_SCHEDULE = "loco.E003"
#: Management commands that can run any code.
ANY_CODE = frozenset(("dbshell", "runscript", "shell", "shell_plus"))


def if_settings_are_valid(check: Callable[..., Iterator[CheckMessage]]) -> Callable[..., list[CheckMessage]]:
    """Return the check without messages while ``LOCO`` is wrong: ``check_settings`` reports that."""

    @wraps(check)
    def checked(**kwargs: Any) -> list[CheckMessage]:
        return [] if problems() else list(check(**kwargs))

    return checked


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Find unknown keys and wrong values in ``LOCO`` and ``WORKER_MODE``."""
    return [Error(problem, id="loco.E001") for problem in problems()]


def check_queues(**kwargs: Any) -> list[CheckMessage]:
    """Find aliases of ``TASKS`` whose queue cannot work, or would work badly."""
    aliases = loco_aliases()
    if not aliases:
        return [
            checks.Warning(
                "django_loco is installed, but TASKS does not use its backend.",
                hint='Set TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend"}}.',
                id="loco.W001",
            )
        ]
    return [message for alias in aliases for message in _check_alias(alias)] if not problems() else []


def _check_alias(alias: str) -> Iterator[CheckMessage]:
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
    connection: Any = connections[database]  # SQLite's has methods that its base class has not
    if connection.vendor == "postgresql":
        yield from _check_pool(alias, database, connection.settings_dict)
    elif connection.vendor == "sqlite" and not connection.is_in_memory_db():
        yield from _check_requests(alias, database, connection.settings_dict)
        try:
            with connection.cursor() as cursor:
                mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        except OperationalError:
            return  # The file does not exist yet or cannot be opened: the checks of the database report that.
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
    needed = loco_settings().NUM_WORKERS + EXTRA_CONNECTIONS
    if limit < needed:
        yield checks.Warning(
            f"DATABASES[{database!r}]['OPTIONS']['pool'] holds {limit} connections; a worker of TASKS[{alias!r}] "
            f"wants up to {needed} (NUM_WORKERS + {EXTRA_CONNECTIONS}).",
            hint=f"Set max_size to {needed} or more, or LOCO['NUM_WORKERS'] to {max(limit - EXTRA_CONNECTIONS, 1)}.",
            id="loco.W002",
        )


def check_schedules(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find wrong schedules in code and settings. Each is disabled, the others run."""
    for problem in default.problems():
        if problem.is_certain:
            yield Error(problem.message, hint=problem.hint, id=WRONG_SCHEDULE)
        else:
            yield checks.Warning(problem.message, hint=problem.hint, id="loco.W007")


def check_stored_schedules(databases: Collection[str] | None = None, **kwargs: Any) -> Iterator[CheckMessage]:
    """Find wrong schedules in the database; only with ``--database``, like all of Django's checks that query one.

    They are warnings, as ``migrate`` runs these checks, too, and a wrong row must not stop it.
    """
    known = default.problems()
    for problem in current().registry.problems() if database_alias() in (databases or ()) else ():
        if problem not in known:
            yield checks.Warning(problem.message, hint=problem.hint, id="loco.W009")


def check_task_options(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find options in ``LOCO["TASKS"]`` for tasks that do not exist."""
    for path in loco_settings().TASKS:
        try:
            load_task(path)
        except Exception as error:  # noqa: BLE001 - a module may raise anything when it is imported
            yield checks.Warning(
                f"LOCO['TASKS'] has options for {path!r}, which is not a task: {error}",
                hint="Write the path of a function with @task, such as 'shop.tasks.send', or take the entry out.",
                id="loco.W010",
            )


def check_waiting_jobs(databases: Collection[str] | None = None, **kwargs: Any) -> Iterator[CheckMessage]:
    """Find jobs that no worker of this project takes, in databases that store or stored jobs; with ``--database``."""
    keeping = ["default", *_databases_of_queues()]
    for name in databases or ():
        if name in keeping:
            yield from _check_table(name)


def _databases_of_queues() -> list[Any]:
    return [task_backends[alias].options.get("database", "default") for alias in loco_aliases()]


def check_migrations(databases: Collection[str] | None = None, **kwargs: Any) -> Iterator[CheckMessage]:
    """Find databases that lack migrations of the app: with ``--database``, but not if the command is ``migrate``."""
    is_migrating = next((word for word in sys.argv[1:] if not word.startswith("-")), "") == "migrate"
    used = [] if is_migrating else [database_alias(), *_databases_of_queues()]
    for name in databases or ():
        if name in used and is_unmigrated(name):
            yield checks.Warning(
                f"Migrations of django_loco are missing in DATABASES[{name!r}].",
                hint=f"Run {migrate_command(name)}.",
                id="loco.W014",
            )


def _check_table(database: str) -> Iterator[CheckMessage]:
    model = apps.get_model("django_loco", "StoredJob")
    if not router.allow_migrate_model(database, model):
        return
    jobs: QuerySet[Any] = QuerySet(model, using=database).filter(status__in=(READY.value, RUNNING.value))
    try:
        found = list(jobs.values_list("backend", "queue_name").annotate(count=Count("id")))
    except DatabaseError:
        return  # This database does not have the table (yet).
    for alias, queue_name, count in found:
        if reason := _why_unserved(database, alias, queue_name):
            yield checks.Warning(
                f"{count} job(s) of TASKS[{alias!r}] wait in queue {queue_name!r} in DATABASES[{database!r}], and no "
                f"worker takes them: {reason[0]}",
                hint=reason[1],
                id="loco.W011",
            )


def _why_unserved(database: str, alias: str, queue_name: str) -> tuple[str, str] | None:
    """Return a reason and a remedy; ``None`` if a worker of this project takes such jobs."""
    if alias not in loco_aliases():
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


def check_components(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find components that cannot be imported, are not components, or share a name."""
    try:
        project_components.registered()
    except LocoConfigurationError as error:
        yield Error(str(error), id="loco.E004")


def check_commands(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find unknown or dangerous commands among those that stored jobs and schedules may run."""
    known = sorted(get_commands())
    for name in loco_settings().COMMANDS:
        if name not in known:
            yield Error(f"LOCO['COMMANDS'] has {name!r}.{did_you_mean(name, known)}", id="loco.E007")
    for name in sorted(default.allow_list.commands & ANY_CODE):
        yield checks.Warning(
            f"Anyone who can write to the queue, or add schedules in the admin, can run {name!r}, and so any code.",
            hint="Take it out of LOCO['COMMANDS'] and scheduler.expose(); write a task for this instead.",
            id="loco.W013",
        )


def check_deployment(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find settings that suit development but not production."""
    for alias in loco_aliases():
        if not mistakes(alias, task_backends[alias].options):
            yield from _check_workers(alias)


def _check_workers(alias: str) -> Iterator[CheckMessage]:
    if worker_mode(alias, task_backends[alias].options) == "BackgroundAsync":
        yield checks.Warning(
            f"The jobs of TASKS[{alias!r}] wait in the memory of the process that enqueued them; kill -9 loses them.",
            hint='Set WORKER_MODE = "BackgroundQueue" and run manage.py loco_worker.',
            id="loco.W004",
        )
        return
    try:
        queue = queue_for(alias)
        oldest = queue.oldest_due()
        alive = [worker for worker in queue.workers() if worker.is_alive]
    except (LocoConfigurationError, QueueUnavailable):
        return  # Other checks report that.
    waiting = 0.0 if oldest is None else (utcnow() - oldest).total_seconds()
    if not alive and waiting > loco_settings().LEASE:
        yield checks.Warning(
            f"A job of TASKS[{alias!r}] has been waiting for {waiting:.0f} s, and no worker is running.",
            hint="Start manage.py loco_worker.",
            id="loco.W012",
        )
