"""Fixtures for all tests: private servers, the test database, and sites that run as processes."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from django_loco.queues.timeouts import no_store_timeout

from .postgres import Server
from .processes import Site
from .redis_server import RedisServer

ON_POSTGRES = os.environ.get("LOCO_TEST_DATABASE", "sqlite") == "postgres"
#: This many of the last lines of each process are shown with a failed test.
SHOWN = 60
MEMORY, NEEDED_BYTES = Path("/dev/shm"), 2 << 30  # noqa: S108 - pytest makes its own folder there
UNIT_TESTS = Path(__file__).parent / "unit"
INTEGRATION_TESTS = Path(__file__).parent / "integration"
#: A test with one of these fixtures does not depend on the chosen database.
BRING_THEIR_OWN = frozenset(("project", "migrated_file", "redis_server", "redis_site"))
OTHER_STORES = frozenset(("redis", "memory"))
#: Python ignores an exception that is raised in a callback of its garbage collector, and Hypothesis has one there.
MAY_STRIKE_ANYWHERE = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def pytest_configure() -> None:
    """Let the tests' processes get SIGHUP and SIGINT, even under ``nohup`` and in the background of a script.

    There these signals are ignored, and child processes would inherit that.

    Temporary folders are kept in memory: SQLite waits for the disk at each commit, thousands of times in one run.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > NEEDED_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Split the tests into parts, so that several runs can share them: ``1/3``, ``2/3`` and ``3/3``."""
    parser.addoption("--share", default="1/1", help="which of how many parts of the tests to run: 2/3")
    parser.addoption(
        "--extra", choices=["with", "without", "only"], default="with", help="the tests and variants marked so"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that other runs make.

    On PostgreSQL these are tests that do not use the database or have their own. They run with SQLite.
    """
    number, count = map(int, config.getoption("--share").split("/"))
    unwanted = {"with": (), "without": (True,), "only": (False,)}[config.getoption("--extra")]
    left_out = [
        item
        for item in items
        if _share_of(item, count) != number or (ON_POSTGRES and _needs_no_database(item)) or _is_extra(item) in unwanted
    ]
    config.hook.pytest_deselected(items=left_out)
    for item in items:
        if item.get_closest_marker("interrupts"):
            item.add_marker(MAY_STRIKE_ANYWHERE)
    gone = set(left_out)
    items[:] = [item for item in items if item not in gone]


def _share_of(item: pytest.Item, count: int) -> int:
    """Return the part that ``item`` belongs to. It does not depend on the other tests, which differ between Pythons."""
    return zlib.crc32(item.nodeid.encode()) % count + 1


def _is_extra(item: pytest.Item) -> bool:
    """Whether ``item`` is marked ``extra``, or is one of the variants that the mark names by words of their ids.

    A site's database is called ``sqlite`` or ``postgres``, as it is.
    """
    mark = item.get_closest_marker("extra")
    return mark is not None and (not mark.args or not _words_of(item).isdisjoint(mark.args))


def _words_of(item: pytest.Item) -> set[str]:
    """Return the words of the id of a variant."""
    words = (
        set(item.callspec.id.split("-")) if isinstance(item, pytest.Function) and hasattr(item, "callspec") else set()
    )
    return words | ({"postgres" if ON_POSTGRES else "sqlite"} if "database" in words else set())


def _needs_no_database(item: pytest.Item) -> bool:
    return (
        UNIT_TESTS in item.path.parents
        or not BRING_THEIR_OWN.isdisjoint(getattr(item, "fixturenames", ()))
        or item.get_closest_marker("own_database") is not None
        or _is_about_other_stores(item)
    )


def _is_about_other_stores(item: pytest.Item) -> bool:
    """Whether a test's file names another store, or its parameters name stores but not the database.

    Integration tests also check what jobs of other stores do with the project's database.
    """
    if not OTHER_STORES.isdisjoint(item.path.stem.split("_")):
        return True
    if INTEGRATION_TESTS in item.path.parents:
        return False
    words = _words_of(item)
    return not OTHER_STORES.isdisjoint(words) and {"database", "postgres", "default"}.isdisjoint(words)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the output of its processes with a failed test, because on a build server it cannot be seen later."""
    report = yield
    if report.failed:
        sites = getattr(item, "funcargs", {}).values()
        processes = {process.pid: process for site in sites for process in getattr(site, "processes", ())}
        report.sections += [(process.title, "\n".join(process.lines[-SHOWN:])) for process in processes.values()]
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Do not fail if no test was chosen for PostgreSQL: a run of unit tests alone makes them on SQLite."""
    if ON_POSTGRES and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK


@pytest.fixture(autouse=True)
def _like_a_thread_of_the_site() -> Iterator[None]:
    """Reset store timeouts after a test.

    Some tests call in their own thread what otherwise threads of a worker call.
    """
    with no_store_timeout():
        yield


@pytest.fixture
def no_thread(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], AbstractContextManager[None]]:
    """``with no_thread(name)``: no thread of django-loco can be started whose name begins with ``name``."""

    @contextmanager
    def refuse(name: str) -> Iterator[None]:
        start = threading.Thread.start

        def refused(thread: threading.Thread) -> None:
            if thread.name.startswith(name):
                raise RuntimeError("can't start new thread")
            start(thread)

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refused)
            yield

    return refuse


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The private PostgreSQL server of this run, started by the first test that asks for it."""
    server = Server()
    server.start()
    os.environ["LOCO_TEST_POSTGRES_PORT"] = str(server.port)
    yield server
    server.close()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_modify_db_settings_parallel_suffix: None,
) -> None:
    """Point Django at the database of this run, just before pytest-django creates its tables.

    SQLite uses a file: its in-memory databases lock differently, and other processes cannot see them.
    """
    database: dict[str, Any] = settings.DATABASES["default"]
    # Unlike a database in memory, a file is closed between tests.
    second: dict[str, Any] = settings.DATABASES["second"]
    second["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "second.sqlite3")
    if ON_POSTGRES:
        database["PORT"] = str(request.getfixturevalue("postgres").port)
    else:
        database["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """After a test, delete the rows that it has left, and keep its connections.

    Django empties all tables, and enters content types and permissions again: with PostgreSQL a quarter of a second.
    It also connects anew for each test, and a new process of PostgreSQL first has to read what the tables are like.
    """
    with django_db_blocker.unblock():
        conditions = {alias: left_by_a_test(connections[alias]) for alias in ("default", "second")}

    def delete_rows(test_case: TransactionTestCase) -> None:
        for alias in test_case.databases:
            with transaction.atomic(alias), connections[alias].cursor() as cursor:
                rows = (
                    f"SELECT '{table}' WHERE EXISTS (SELECT 1 {where})" for table, where in conditions[alias].items()
                )
                cursor.execute(" UNION ALL ".join(rows))
                for (table,) in cursor.fetchall():
                    cursor.execute(f"DELETE {conditions[alias][table]}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", delete_rows)
        patch.setattr(TransactionTestCase, "_should_reload_connections", lambda test_case: False)
        yield


def left_by_a_test(connection: BaseDatabaseWrapper) -> Mapping[str, str]:
    """Return for each table, by name, the ``FROM`` and ``WHERE`` of the rows that ``migrate`` has not inserted."""
    with connection.cursor() as cursor:

        def where(table: str) -> str:
            quoted = connection.ops.quote_name(table)
            if table not in {"django_content_type", "auth_permission"}:
                return f"FROM {quoted}"
            cursor.execute(f"SELECT coalesce(max(id), 0) FROM {quoted}")
            return f"FROM {quoted} WHERE id > {cursor.fetchone()[0]}"

        tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        return {table: where(table) for table in sorted(tables)}


@pytest.fixture(scope="session")
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated, empty database. Each ``site`` copies it."""
    if ON_POSTGRES:
        name = f"migrated_{uuid4().hex}"
        request.getfixturevalue("postgres").create_database(name)
    else:
        name = str(tmp_path_factory.mktemp("migrated") / "site.sqlite3")
    Site(name, tmp_path_factory.mktemp("site")).manage("migrate", "--verbosity", "0")
    return name


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path, migrated: str) -> Iterator[Site]:
    """A site with its own database. Its ``manage.py`` commands run as real processes."""
    if ON_POSTGRES:
        name = f"site_{uuid4().hex}"
        server = request.getfixturevalue("postgres")
        server.create_database(name, template=migrated)
        with Site(name, tmp_path) as site:
            yield site
        server.drop_database(name)
    else:
        copy = shutil.copy(migrated, tmp_path / "site.sqlite3")
        with Site(str(copy), tmp_path) as site:
            yield site


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Make this process trace like a project with a ``TracerProvider``. Return the exporter that gets the spans."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)  # the API can set it only once per process
    return exporter


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The private Redis of this run, in memory, started by the first test that asks for it."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_site(redis_server: RedisServer, tmp_path: Path) -> Iterator[Site]:
    """A site whose jobs are in Redis under its own keys. Its database has no tables, because nothing may need them."""
    with Site(str(tmp_path / "site.sqlite3"), tmp_path, TASKS=redis_server.setting(uuid4().hex)) as site:
        yield site


@pytest.fixture(params=["database"] if ON_POSTGRES else ["database", "redis"])
def any_site(request: pytest.FixtureRequest) -> Site:
    """A site for each durable queue."""
    site: Site = request.getfixturevalue("site" if request.param == "database" else "redis_site")
    return site
