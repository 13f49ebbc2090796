"""Says why a database cannot be used now, with the remedy, as the error of a queue; and whether it lacks migrations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from django.db import DatabaseError, DataError, Error, IntegrityError, InterfaceError, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.transaction import TransactionManagementError

from ...core import running_tests
from ...exceptions import QueueRefused, QueueUnavailable
from ..timeouts import apply_store_timeout, return_to_pool, store_timeout

APP = "django_loco"
#: Parts of the errors of engines for a migration that was not applied: codes of PostgreSQL, words of SQLite.
NO_TABLE = ("42P01", "42703", "no such table", "no such column", "has no column", "no such index")
#: PostgreSQL's code for a statement in a transaction in which another one has failed.
BROKEN_TRANSACTION = "25P02"
IN_BROKEN_TRANSACTION = (
    "An earlier statement of this transaction has failed, and its error was caught, so PostgreSQL refuses all others: "
    "let the error leave the atomic() block, or give that statement an atomic() block of its own."
)
#: PostgreSQL's code for ``program_limit_exceeded``: a text is too long for an index.
TOO_LONG = "54000"
#: PostgreSQL's codes for ``serialization_failure`` and ``deadlock_detected``.
CONFLICT = ("40001", "40P01")
#: The remedy for a server of PostgreSQL that has no free connection.
TOO_MANY = "Raise max_connections of the server, lower LOCO['NUM_WORKERS'] or --processes, or use a pooler."
#: Parts of the errors of engines, and their remedies.
REMEDIES = {
    "readonly database": "Let the user of this process write to the file and its folder, or correct {setting}.",
    "read-only transaction": "It is a replica, or set to be read only: correct {setting}.",
    "permission denied for table": "GRANT SELECT, INSERT, UPDATE and DELETE on the tables of django_loco to its user, "
    "or correct {setting}['USER'].",
    "database or disk is full": "Free some space on the disk of {setting}.",
    "disk I/O error": "The disk of {setting} may be full, read-only or broken; the files -wal and -shm beside the file "
    "need room, too.",
    "database is locked": "Another process writes to the file: let it end, or raise {setting}['OPTIONS']['timeout'].",
    "unable to open database file": "Make its folder, let the user of this process write there (its file system may be "
    "read-only), or correct {setting}. If the process has no file descriptors left (Too many open files), raise its "
    "limit: ulimit -n, or LimitNOFILE of systemd.",
    "file is not a database": "It is another file, or damaged: correct {setting}, or restore the file.",
    "sorry, too many clients already": TOO_MANY,
    "remaining connection slots": TOO_MANY,
    "server_login_retry": "PgBouncer waits server_login_retry seconds before it connects to the server again: lower it "
    "below LOCO['LEASE'].",
    "query_wait_timeout": "PgBouncer has had no free connection for that long: raise its default_pool_size.",
    "unsupported startup parameter": "PgBouncer does not pass it on: remove it from {setting}['OPTIONS'], and set it "
    "with ALTER ROLE ... SET.",
    "due to statement timeout": "statement_timeout of its user or of {setting}['OPTIONS'] is too short for this.",
    "due to lock timeout": "Another transaction has locked the rows for longer than the lock_timeout of its user or of "
    "{setting}['OPTIONS'].",
    "No space left on device": "Free some space on the disk of the server.",
    "Connection refused": "Start it, or correct {setting}.",
    "the server has not answered for": "It hangs, or a pooler such as PgBouncer has no free connection: raise its "
    "default_pool_size.",
    "couldn't get a connection after": "Start it, or if it runs, raise max_size of {setting}['OPTIONS']['pool'].",
}
#: A further remedy for SQLite. Django does not tell which transactions other threads have open.
REMEDY_IN_TESTS = (
    "A test in a transaction locks out its other threads, such as those of async tests in pytest: let it commit, with "
    "TransactionTestCase or @pytest.mark.django_db(transaction=True)."
)
#: Where the table of jobs is if the user of PostgreSQL sees none: the schema, the user, and whether they may use it.
HIDDEN = """
    SELECT quote_ident(nspname), quote_ident(current_user), has_schema_privilege(pg_namespace.oid, 'USAGE')
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relname = 'django_loco_job' AND relkind IN ('r', 'p') AND to_regclass('django_loco_job') IS NULL
    ORDER BY nspname LIMIT 1
"""


class MissingTables(NamedTuple):
    """Why the tables of the app, or parts of them, are missing in a database."""

    trouble: str
    """A clause: ``migrations of django_loco are missing``."""

    remedy: str
    """What to do, without a full stop: ``run manage.py migrate django_loco``."""


def what_is_missing(database: str) -> MissingTables:
    """Return why tables are missing in a database, after its error has said so, and what to do."""
    if (hidden := _hidden(database)) is None:
        return MissingTables("migrations of django_loco are missing", migrate_remedy(database))
    schema, user, may_use = hidden
    remedy = f"GRANT USAGE ON SCHEMA {schema} TO {user}"
    if may_use:
        remedy = (
            f"ALTER ROLE {user} SET search_path = {schema}, public, or set search_path in "
            f"DATABASES[{database!r}]['OPTIONS']['options']"
        )
    return MissingTables(
        f"the user {user} does not see the tables of django_loco in the schema {schema}",
        f"{remedy}; if they are those of another project, {migrate_remedy(database)}",
    )


def _hidden(database: str) -> tuple[str, str, bool] | None:
    """Return the row of ``HIDDEN``; ``None`` if there is no such table, or it is not known."""
    connection = connections[database]
    if connection.vendor != "postgresql":
        return None
    try:
        with store_timeout(), apply_store_timeout(connection).cursor() as cursor:
            cursor.execute(HIDDEN)
            found: tuple[str, str, bool] | None = cursor.fetchone()
    except Error:  # such as in a transaction in which a statement has failed
        return None
    return found


def migrate_remedy(database: str) -> str:
    """Return how the database gets the missing tables, or where they are: ``run manage.py migrate django_loco``."""

    def may_have_tables(alias: str) -> bool:
        return router.allow_migrate(alias, APP, model_name="storedjob")

    if may_have_tables(database):
        return f"run manage.py migrate {APP}" + ("" if database == "default" else f" --database={database}")
    others = " or ".join(repr(alias) for alias in connections if may_have_tables(alias))
    instead = f"set OPTIONS['database'] in TASKS to {others}, or " if others else ""
    return f"{instead}let DATABASE_ROUTERS allow the tables of {APP} in DATABASES[{database!r}]"


def is_of_missing_migration(error: Exception) -> bool:
    """Return whether a database has raised ``error`` because a table, a column or an index is missing."""
    said = f"{getattr(error.__cause__, 'sqlstate', '')} {error}"
    return any(sign in said for sign in NO_TABLE)


def is_of_broken_transaction(error: Exception) -> bool:
    """Return whether PostgreSQL refuses a statement because an earlier one of the caller's transaction has failed."""
    return getattr(error.__cause__, "sqlstate", None) == BROKEN_TRANSACTION


def is_conflict(error: BaseException | None) -> bool:
    """Return whether PostgreSQL has rolled a transaction back because of others, so that it can be run again.

    ``error`` is the error of the database, or one that was raised from it.
    """
    while error is not None and getattr(error, "sqlstate", None) not in CONFLICT:
        error = error.__cause__
    return error is not None


def is_unmigrated(database: str) -> bool:
    """Return whether migrations of the app are missing; ``False`` if the database cannot be reached."""
    try:
        with store_timeout():
            executor = MigrationExecutor(apply_store_timeout(connections[database]))
            targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == APP]
            return bool(executor.migration_plan(targets))
    except Error:
        return False


def unusable(where: str, database: str, error: Exception) -> str:
    """Return a sentence with remedy. ``where`` is its beginning: ``The jobs are in DATABASES['default']``."""
    if is_of_missing_migration(error):
        return f"{where}, where {': '.join(what_is_missing(database))}."
    said = " ".join(str(error).split()) or type(error).__name__
    if is_conflict(error):
        return f"{where}, which has rolled this transaction back in favour of others: run it again. It said: {said}"
    for sign, remedy in REMEDIES.items():
        if sign in said:
            end = "" if said.endswith((".", "?")) else "."
            said = f"{said}{end} {remedy.format(setting=f'DATABASES[{database!r}]')}"
            break
    if " is locked" in said and running_tests.is_on():
        said = f"{said.rstrip('.')}. {REMEDY_IN_TESTS}"
    return f"{where}, which cannot be used now: {said}"


class Reached(Protocol):
    """How a database is reached: a dialect."""

    alias: str
    database: str

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """The calling thread's connection."""


@contextmanager
def explained(dialect: Reached) -> Iterator[None]:
    """Raise ``QueueUnavailable`` for errors of the engine, and ``QueueRefused`` for errors about the data."""
    try:
        with dialect.connection.wrap_database_errors:  # not all errors are raised by Django's cursors
            yield
    except TransactionManagementError:
        raise  # the caller's transaction was already broken
    except (DataError, IntegrityError) as error:
        raise QueueRefused(f"{place_of_jobs(dialect)}, which refuses this: {error}") from error
    except (DatabaseError, InterfaceError) as error:
        if getattr(error.__cause__, "sqlstate", None) == TOO_LONG:
            raise QueueRefused(f"{place_of_jobs(dialect)}, which refuses this: {error}") from error
        if is_of_broken_transaction(error):
            raise TransactionManagementError(IN_BROKEN_TRANSACTION) from error
        _drop_lost_connection(dialect.database)
        raise QueueUnavailable(unusable(place_of_jobs(dialect), dialect.database, error)) from error
    finally:
        return_to_pool(connections[dialect.database])


def place_of_jobs(dialect: Reached) -> str:
    """Return the beginning of a sentence about the database."""
    return f"The jobs of TASKS[{dialect.alias!r}] are in DATABASES[{dialect.database!r}]"


def _drop_lost_connection(database: str) -> None:
    """Let the next call connect again, unless a transaction is open, which its owner has to end."""
    connection = connections[database]
    if connection.autocommit and connection.errors_occurred and not connection.is_usable():
        connection.close()
