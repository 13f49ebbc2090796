"""What is said of a database that cannot be used, with the remedy for errors that are known."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, OperationalError, ProgrammingError

from django_loco.core import running_tests
from django_loco.exceptions import QueueUnavailable
from django_loco.queues.database.availability import is_conflict, unusable

WHERE = "The jobs are in DATABASES['jobs']"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OperationalError("attempt to write a readonly database"),
            "attempt to write a readonly database. Let the user of this process write to the file and its folder, or",
        ),
        (
            OperationalError("port 1 failed: Connection refused\n\tIs the server running there?"),
            "port 1 failed: Connection refused Is the server running there? Start it, or correct DATABASES['jobs'].",
        ),
        (
            ProgrammingError("permission denied for table django_loco_job\n"),
            "permission denied for table django_loco_job. GRANT SELECT, INSERT, UPDATE and DELETE on the tables of dj",
        ),
        (
            OperationalError("the server has not answered for 10 seconds"),
            "the server has not answered for 10 seconds. It hangs, or a pooler such as PgBouncer has no free c",
        ),
        (
            OperationalError("database is locked"),
            "database is locked. Another process writes to the file: let it end, or raise DATABASES['jobs']['OPT",
        ),
        (
            OperationalError("unable to open database file"),
            "unable to open database file. Make its folder, let the user of this process write there (its file system",
        ),
        (
            OperationalError("database or disk is full"),
            "database or disk is full. Free some space on the disk of DATABASES['jobs'].",
        ),
        (
            OperationalError("disk I/O error"),
            "disk I/O error. The disk of DATABASES['jobs'] may be full, read-only or broken; the files -wal and -shm",
        ),
        (
            OperationalError("port 1 failed: FATAL:  sorry, too many clients already"),
            "port 1 failed: FATAL: sorry, too many clients already. Raise max_connections of the server, lower LOCO[",
        ),
        (
            OperationalError("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute"),
            "FATAL: remaining connection slots are reserved for roles with the SUPERUSER attribute. Raise max_connecti",
        ),
        (
            OperationalError("FATAL: query_wait_timeout"),
            "FATAL: query_wait_timeout. PgBouncer has had no free connection for that long: raise its default_pool_siz",
        ),
        (
            OperationalError("FATAL: unsupported startup parameter: options"),
            "FATAL: unsupported startup parameter: options. PgBouncer does not pass it on: remove it from DATABASES[",
        ),
        (
            OperationalError("could not extend file: No space left on device"),
            "could not extend file: No space left on device. Free some space on the disk of the server.",
        ),
        (
            OperationalError("server login has been failing, cached error: Connection refused (server_login_retry)"),
            "server login has been failing, cached error: Connection refused (server_login_retry). PgBouncer waits ser",
        ),
        (
            DatabaseError("file is not a database"),
            "file is not a database. It is another file, or damaged: correct DATABASES['jobs'], or restore the file.",
        ),
    ],
)
def test_the_error_and_its_remedy(error, said):
    assert unusable(WHERE, "jobs", error).startswith(f"{WHERE}, which cannot be used now: {said}")


def test_a_file_that_cannot_be_opened_may_be_one_too_many():
    assert unusable(WHERE, "jobs", OperationalError("unable to open database file")).endswith(
        "If the process has no file descriptors left (Too many open files), raise its limit: ulimit -n, or LimitNOFILE "
        "of systemd."
    )


def test_other_errors_are_told_as_they_are():
    for error, said in ((OperationalError("disk error"), "disk error"), (OperationalError(), "OperationalError")):
        assert unusable(WHERE, "jobs", error) == f"{WHERE}, which cannot be used now: {said}"


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_conflict_is_told_as_no_outage(code):
    cause = Exception("could not serialize access")
    cause.sqlstate = code
    error = OperationalError("could not\nserialize access")
    error.__cause__ = cause
    assert unusable(WHERE, "jobs", error) == (
        f"{WHERE}, which has rolled this transaction back in favour of others: run it again. It said: could not "
        "serialize access"
    )
    refused = QueueUnavailable("said so")
    refused.__cause__ = error
    assert is_conflict(refused)
    assert not is_conflict(OperationalError("could not serialize access"))


class SecondHasJobs:
    """A router."""

    def allow_migrate(self, db: str, app_label: str, **hints: object) -> bool:
        return (db == "second") == (app_label == "django_loco")


def test_tables_that_a_router_has_put_elsewhere(settings):
    settings.DATABASE_ROUTERS = [SecondHasJobs()]
    assert unusable(WHERE, "default", OperationalError("no such table: django_loco_job")) == (
        f"{WHERE}, where migrations of django_loco are missing: set OPTIONS['database'] in TASKS to 'second', or let "
        "DATABASE_ROUTERS allow the tables of django_loco in DATABASES['default']."
    )


def test_missing_migrations():
    assert unusable(WHERE, "second", OperationalError("no such table: django_loco_job")) == (
        f"{WHERE}, where migrations of django_loco are missing: run manage.py migrate django_loco --database=second."
    )


@pytest.mark.parametrize("said", ["database is locked", "database table is locked: django_loco_job"])
def test_in_tests_their_own_transaction_may_lock(said, monkeypatch):
    assert unusable(WHERE, "jobs", OperationalError(said)).endswith("@pytest.mark.django_db(transaction=True).")
    monkeypatch.setattr(running_tests, "is_on", lambda: False)
    assert "pytest" not in unusable(WHERE, "jobs", OperationalError(said))
