"""How SQLite is set up, and that its lock is held no longer than it must be."""

import gc
import os
import sqlite3
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest
from django.db import DatabaseError, connection, connections, transaction

from django_loco.core.job import SUCCESSFUL, Job, Outcome
from django_loco.exceptions import LocoConfigurationError, QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.base import Change
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.database.sqlite import connections as sqlite_connections
from django_loco.queues.database.sqlite import dialect, session
from django_loco.queues.database.sqlite.file_watch import FileWatch
from django_loco.queues.database.sqlite.listener import (
    LONGEST_POLL_SECONDS,
    LONGEST_WATCHED_POLL_SECONDS,
    SQLiteListener,
)

from ...conftest import ON_POSTGRES

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(ON_POSTGRES, reason="about SQLite; runs when LOCO_TEST_DATABASE is sqlite"),
]
LOCO = "django_loco.backend.LocoBackend"


@pytest.fixture
def queue():
    return DatabaseQueue("default", {})


@pytest.fixture
def writer():
    """Another process that is in the middle of a transaction."""
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other
        other.execute("ROLLBACK")


@pytest.fixture
def impatient():
    """Give up at once on a lock."""
    connection.ensure_connection()
    connection.connection.execute("PRAGMA busy_timeout = 0")
    yield
    connection.close()


def job(**given):
    return Job(task_path="a.b", backend="default", **given)


def test_text_that_is_not_utf8_is_read_within_a_transaction_too(queue):
    good, bad = job(), job()
    with transaction.atomic():
        queue.enqueue([good, bad])
        with connection.cursor() as cursor:
            cursor.execute("UPDATE django_loco_job SET errors = CAST(x'ff' AS TEXT) WHERE id = %s", [bad.id])
        assert {each.id: each.is_readable for each in queue.list()} == {good.id: True, bad.id: False}
        assert {each.id for each in queue.list_calls()} == {good.id, bad.id}
    assert len(queue.list()) == 2


def fetch(queue):
    return queue.fetch(Claim(worker_id="w", lease=30, threads=100))


def pragma(name):
    connection.ensure_connection()
    return connection.connection.execute(f"PRAGMA {name}").fetchone()[0]


def transaction_mode():
    return vars(connections["default"])["transaction_mode"]


def reconnect():
    connection.close()
    connection.ensure_connection()


def test_a_connection_to_a_queue_is_set_up():
    reconnect()
    assert (pragma("journal_mode"), pragma("busy_timeout"), transaction_mode()) == ("wal", 20_000, "IMMEDIATE")


def test_a_connection_to_anything_else_is_left_alone(settings):
    settings.WORKER_MODE = "BackgroundAsync"
    reconnect()
    assert (pragma("busy_timeout"), transaction_mode()) == (5_000, None)


def test_what_the_project_chose_stays():
    chosen = connection.settings_dict["OPTIONS"]
    chosen |= {"timeout": 3, "transaction_mode": "DEFERRED"}
    try:
        reconnect()
        assert (pragma("busy_timeout"), transaction_mode()) == (3_000, "DEFERRED")
    finally:
        chosen.clear()
        connection.close()


def test_pragmas_that_the_project_chose_stay():
    chosen = connection.settings_dict["OPTIONS"]
    chosen["init_command"] = "PRAGMA Journal_Mode = DELETE; PRAGMA busy_timeout = 7"
    try:
        reconnect()
        assert (pragma("journal_mode"), pragma("busy_timeout")) == ("delete", 7)
    finally:
        chosen.clear()
        reconnect()
    assert pragma("journal_mode") == "wal"


def test_an_old_sqlite_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr("sqlite3.dbapi2.sqlite_version_info", (3, 34, 1))
    with pytest.raises(LocoConfigurationError, match=r"DATABASES\['default'\], for which SQLite 3.* must be 3\.35"):
        DatabaseQueue("default", {})


@pytest.mark.parametrize(
    ("backend", "options", "databases"),
    [
        (LOCO, {}, {"default"}),
        (LOCO, {"queue": "database", "database": "jobs"}, {"jobs"}),
        (LOCO, {"queue": "django_loco.queues.database.DatabaseQueue"}, {"default"}),
        (LOCO, {"queue": "memory"}, set()),
        (LOCO, {"mode": "BackgroundAsync"}, set()),
        ("django.tasks.backends.immediate.ImmediateBackend", {}, set()),
        ("django_tasks.backends.immediate.ImmediateBackend", {}, set()),
    ],
)
def test_whose_connections_are_set_up(settings, backend, options, databases):
    settings.TASKS = {"default": {"BACKEND": backend, "OPTIONS": options}}
    assert sqlite_connections.served() == databases


def test_a_file_that_cannot_be_switched_is_tried_again_later(caplog, tmp_path, monkeypatch):
    path = tmp_path / "busy.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN EXCLUSIVE")
        busy = connections.create_connection("default")
        busy.settings_dict = busy.settings_dict | {"NAME": str(path), "OPTIONS": {"timeout": 0}}
        busy.connect()
        assert f"{path} could not be switched to WAL; it will be tried again: database is locked" in caplog.text
        assert "Traceback" not in caplog.text
        busy.close()
        read_only = os.statvfs_result((*os.statvfs(tmp_path)[:8], os.ST_RDONLY, 255))
        monkeypatch.setattr("django_loco.queues.database.sqlite.file_path.os.statvfs", lambda folder: read_only)
        busy.connect()
        assert "it will be tried again: its file system is read-only" in caplog.text
        busy.close()
        other.execute("ROLLBACK")
    busy.connect()
    assert busy.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    busy.close()


@pytest.mark.parametrize("name", ["{}", "file:{}?mode=rwc"])
def test_a_file_that_was_replaced_is_opened_again(monkeypatch, caplog, tmp_path, name):
    path = tmp_path / "db.sqlite3"
    opened = connections.create_connection("default")
    opened.settings_dict = opened.settings_dict | {"NAME": name.format(path)}
    opened.cursor().execute("CREATE TABLE t (x)")
    path.rename(tmp_path / "old.sqlite3")
    path.touch()
    sqlite_connections.close_if_replaced(opened)
    assert opened.connection is None
    assert "was deleted or replaced; the new file is used" in caplog.text


def test_a_file_that_is_no_database_is_told_by_the_next_statement(caplog, tmp_path):
    path = tmp_path / "text.sqlite3"
    path.write_text("not a database" * 100)
    strange = connections.create_connection("default")
    strange.settings_dict = strange.settings_dict | {"NAME": str(path)}
    strange.connect()
    assert caplog.text == ""
    with pytest.raises(DatabaseError, match="file is not a database"):
        strange.cursor().execute("SELECT 1 FROM t")
    strange.close()


def test_clones_of_a_test_database_have_all_that_is_in_its_wal_and_nothing_of_tests_that_were_killed(tmp_path):
    tested = connections.create_connection("default")
    tested.settings_dict = tested.settings_dict | {"NAME": str(tmp_path / "test.sqlite3")}
    tested.cursor().execute("CREATE TABLE t (x)")
    clone, wal = tmp_path / "test_1.sqlite3", tmp_path / "test_1.sqlite3-wal"

    def rows(*, keepdb):
        tested.creation.clone_test_db("1", verbosity=0, keepdb=keepdb)
        with closing(sqlite3.connect(clone, isolation_level=None)) as other:
            found = other.execute("SELECT * FROM t").fetchall()
            other.execute("INSERT INTO t VALUES (1)")
            left = wal.read_bytes()
        wal.write_bytes(left)
        return len(found)

    assert rows(keepdb=False) == 0
    assert rows(keepdb=False) == 0
    assert rows(keepdb=True) == 1
    clone.unlink()
    assert rows(keepdb=True) == 0
    tested.close()


def test_a_worker_without_work_never_takes_the_lock(queue, writer, impatient):
    assert fetch(queue) == []
    assert queue.rescue() == []
    assert queue.oldest_due() is None


def test_jobs_that_one_has_no_room_for_are_no_work(queue, impatient):
    queue.enqueue([job()])
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert queue.fetch(Claim(worker_id="w", lease=30, threads=0, coroutines=100)) == []
        assert queue.fetch(Claim(worker_id="w", lease=30, threads=100, queues=("other",))) == []
        assert queue.fetch(Claim(worker_id="w", lease=30, threads=100, tags=("other",))) == []
        other.execute("ROLLBACK")


def test_a_lock_that_outlasts_all_patience_is_unavailable(queue, writer, impatient):
    for jobs in ([job()], [job(), job()]):
        with pytest.raises(QueueUnavailable, match=r"DATABASES\['default'\].*database is locked"):
            queue.enqueue(jobs)
    assert queue.list() == []


CALLS = {
    "enqueue": lambda queue, held: queue.enqueue([job()]),
    "fetch": lambda queue, held: fetch(queue),
    "finish": lambda queue, held: queue.finish([Outcome(job=held, status=SUCCESSFUL)]),
    "renew": lambda queue, held: queue.renew([held], 30),
    "checkpoint": lambda queue, held: queue.update(held, "checkpoint", "1"),
    "rescue": lambda queue, held: queue.rescue(),
    "prune": lambda queue, held: queue.prune(0),
    "get": lambda queue, held: queue.get(held.id),
    "list": lambda queue, held: queue.list(),
    "change": lambda queue, held: queue.change([Change(before=held, after=None)]),
    "lost": lambda queue, held: queue.lost([held]),
    "pause": lambda queue, held: queue.pause("default"),
    "resume": lambda queue, held: queue.resume("default"),
    "wait": lambda queue, held: queue.wait(0.01),
}


def test_a_file_that_is_no_database_does_not_answer(queue, held, tmp_path, monkeypatch):
    spoilt = tmp_path / "spoilt.sqlite3"
    spoilt.write_bytes(b"This is no database. " * 1_000)
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "NAME", str(spoilt))
        assert queue.answers() is False
        queue.close()
    assert queue.answers() is True


@pytest.fixture
def held(queue):
    queue.enqueue([job()])
    [held] = fetch(queue)
    queue.close()
    yield held
    queue.close()


@pytest.mark.parametrize("name", CALLS)
def test_a_write_ahead_log_that_another_process_holds_is_unavailable(queue, held, name, monkeypatch, caplog):
    monkeypatch.setattr(sqlite_connections, "BUSY_MILLISECONDS", 1)
    gc.collect()  # connections of threads that have ended, which would keep it from being held
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("COMMIT")
        with pytest.raises(QueueUnavailable, match="locked"):
            CALLS[name](queue, held)
    CALLS[name](queue, held)


@pytest.mark.parametrize("name", CALLS)
def test_a_file_that_is_no_database_is_unavailable(queue, held, name, tmp_path, monkeypatch):
    spoilt = tmp_path / "spoilt.sqlite3"
    spoilt.write_bytes(b"This is no database. " * 1_000)
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "NAME", str(spoilt))
        with pytest.raises(QueueUnavailable, match="not a database"):
            CALLS[name](queue, held)
        queue.close()
    CALLS[name](queue, held)


def test_whether_it_answers_is_known_in_a_moment(queue, writer, monkeypatch):
    monkeypatch.setattr(session, "PROBE_SECONDS", 0.1)
    connection.ensure_connection()
    assert pragma("busy_timeout") == 20_000
    began = time.monotonic()
    assert queue.answers() is False
    assert time.monotonic() - began < 15
    assert pragma("busy_timeout") == 20_000
    writer.execute("ROLLBACK")
    assert queue.answers() is True
    writer.execute("BEGIN")


def test_a_connection_whose_durability_cannot_be_set_back_is_given_up(queue, held, monkeypatch, caplog):
    connection.ensure_connection()
    wrapped = connection.connection

    class Spoilt:
        def __getattr__(self, name):
            return getattr(wrapped, name)

        def execute(self, sql, *args):
            if sql == "PRAGMA synchronous = 2":
                raise sqlite3.OperationalError("disk I/O error")
            return wrapped.execute(sql, *args)

    connection.connection = Spoilt()
    assert queue.finish([Outcome(job=held, status=SUCCESSFUL)]) == set()
    assert "disk I/O error" in caplog.text
    assert connection.connection is None
    assert queue.get(held.id).status == SUCCESSFUL


def test_what_people_do_waits_for_the_disk_and_what_workers_do_does_not(queue, monkeypatch):
    levels = []
    execute = queue._dialect.execute

    def note(sql, **parameters):
        levels.append(pragma("synchronous"))
        return execute(sql, **parameters)

    full, normal = 2, 1
    queue.enqueue([job()])
    monkeypatch.setattr(queue._dialect, "execute", note)
    held = fetch(queue)
    queue.renew(held, 30)
    queue.finish([Outcome(job=held[0], status=SUCCESSFUL)])
    # Looks at what is paused, limited, or due, or seems not to be due only read.
    assert levels == [full, full, full, normal, full, normal, normal]
    [ended] = queue.list(status=SUCCESSFUL)
    levels.clear()
    queue.change([Change(before=replace(ended, priority=1), after=None)])
    queue.change([Change(before=ended, after=replace(ended, priority=1))])
    queue.pause("other")
    queue.resume("other")
    assert set(levels) == {full}
    assert pragma("synchronous") == full
    connection.connection.execute("PRAGMA synchronous = OFF")
    queue.rescue()
    queue.finish([Outcome(job=held[0], status=SUCCESSFUL)])
    assert pragma("synchronous") == 0
    connection.close()


def test_within_a_transaction_durability_is_its_owners(queue):
    queue.enqueue([job()])
    with transaction.atomic():
        held = fetch(queue)
        queue.finish([Outcome(job=held[0], status=SUCCESSFUL)])
        assert pragma("synchronous") == 2
    assert queue.get(held[0].id).status == SUCCESSFUL


def test_no_statement_of_the_hot_road_reads_the_whole_table(queue, monkeypatch):
    plans = {}
    execute = queue._dialect.execute

    def explain(sql, **parameters):
        plans[sql] = [row[3] for row in execute(f"EXPLAIN QUERY PLAN {sql}", **parameters)]
        return execute(sql, **parameters)

    queue.enqueue([job() for _ in range(10)])
    monkeypatch.setattr(queue._dialect, "execute", explain)
    held = queue.fetch(Claim(worker_id="w", lease=0, threads=5))
    queue.rescue()
    queue.renew(held, 0)
    queue.finish([Outcome(job=each, status=SUCCESSFUL) for each in held])
    queue.oldest_due()
    queue.prune(0)
    queue.get(held[0].id)
    queue.series("nightly")
    queue._dialect.make_due(10)
    assert len(plans) >= 10
    for sql, plan in plans.items():
        assert not [step for step in plan if step.startswith("SCAN django_loco_job")], (sql, plan)
    claiming = next(plan for sql, plan in plans.items() if "randomblob" in sql)
    assert any(
        "INDEX django_loco_ready (backend=? AND is_async=? AND priority=? AND due_at<?" in step for step in claiming
    )
    assert not any("TEMP B-TREE" in step for step in claiming)
    of_the_future = next(plan for sql, plan in plans.items() if "%(id_now)s" in sql)
    assert of_the_future == ["SEARCH django_loco_job USING INDEX sqlite_autoindex_django_loco_job_1 (id>?)"]
    of_series = next(plan for sql, plan in plans.items() if "rtrim" in sql)
    assert of_series == ["SEARCH django_loco_job USING INDEX django_loco_series (backend=? AND <expr>=?)"]


def test_a_database_in_memory_lets_time_pass(monkeypatch):
    listener = SQLiteListener("default", "default")
    monkeypatch.setattr("django.db.backends.sqlite3.base.DatabaseWrapper.is_in_memory_db", lambda self: True)
    assert listener.wait(0) is False
    listener.interrupt()
    assert listener.wait(30) is False
    monkeypatch.undo()
    listener.close()


def test_looks_become_rarer_when_there_is_no_news(queue):
    listener = SQLiteListener("default", "default")
    listener.wait(0)
    first = listener._interval
    listener.wait(0.05)
    assert listener._interval > first
    queue.enqueue([job()])
    assert listener.wait(5) is True
    assert listener._interval == first
    listener.close()


@pytest.fixture
def listener():
    """A listener that has seen all changes so far, and would poll the next time in half a minute."""
    listener = SQLiteListener("default", "default")
    while listener.wait(0.02):
        pass
    listener._interval = 30
    yield listener
    listener.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has inotify")
def test_a_commit_is_noticed_between_two_polls(queue, listener):

    def store():
        queue.enqueue([job()])
        connections.close_all()

    thread = threading.Timer(0.05, store)
    thread.start()
    began = time.monotonic()
    assert listener.wait(20) is True
    assert time.monotonic() - began < 10
    thread.join()
    assert listener._longest == LONGEST_WATCHED_POLL_SECONDS


def test_an_interrupt_ends_a_pause(listener):
    threading.Timer(0.05, listener.interrupt).start()
    began = time.monotonic()
    assert listener.wait(20) is False
    assert time.monotonic() - began < 10


def test_a_watch_that_says_nothing_is_not_trusted(queue, listener, tmp_path):
    (tmp_path / "other").touch()
    listener._watch, listener._longest, listener._interval = FileWatch(str(tmp_path / "other")), 0.1, 0.005
    listener.wait(0.02)
    queue.enqueue([job()])
    listener._ignores_watch = False
    assert listener.wait(5) is True
    assert listener._longest == LONGEST_POLL_SECONDS


def test_a_file_that_cannot_be_watched_is_polled(queue, monkeypatch):
    monkeypatch.setattr("django_loco.queues.database.sqlite.file_watch._libc", None)
    listener = SQLiteListener("default", "default")
    listener.wait(0)
    listener.wait(0.02)
    queue.enqueue([job()])
    assert listener.wait(5) is True
    assert listener._longest == LONGEST_POLL_SECONDS
    listener.close()


@pytest.mark.parametrize("unique", [{}, {"unique_key": "5" * 64, "unique_until": "finished"}])
def test_a_simple_job_is_stored_as_the_statement_for_all_jobs_would_store_it(queue, monkeypatch, unique):
    plain = Job(task_path="a.b", backend="default", queue_name="mail", priority=7, tags=("a", "b"), options={"x": 5})
    one = replace(plain, **unique)
    queue.enqueue([one])
    stored = rows()
    queue.clear()
    monkeypatch.setattr(dialect, "has_only_required", lambda job: False)
    monkeypatch.setattr(dialect, "has_only_unique_key", lambda job: False)
    queue.enqueue([one])
    assert stored == rows()


def rows():
    with connection.cursor() as cursor:
        job = cursor.execute("SELECT * FROM django_loco_job").fetchone()
        return job, cursor.execute("SELECT tag FROM django_loco_waiting_tag ORDER BY tag").fetchall()
