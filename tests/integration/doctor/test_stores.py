"""What ``loco_doctor`` says about stores: stopped, frozen, unmigrated, full, with another clock."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage
from django.db import connections
from django.test import override_settings

from django_loco.core.job import Job
from django_loco.exceptions import QueueUnavailable
from django_loco.management.doctor.report import Report
from django_loco.queues import Queue, queue_for
from django_loco.queues.database import examiner
from django_loco.queues.examiner import Examiner
from django_loco.queues.memory import MemoryQueue
from django_loco.scheduler.sources.tables import no_tables
from tests.app import tasks
from tests.conftest import ON_POSTGRES
from tests.processes import free_port
from tests.redis_server import ON_DISK, RedisServer

from .conftest import examined, findings, found, problems

LOCO = "django_loco.backend.LocoBackend"
PASSWORD = "s3cret-word"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis that these tests may stop and change."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def on_redis(server: RedisServer, settings: Any, db: None) -> Queue:
    settings.TASKS = server.setting()
    queue_for("default").clear()
    return queue_for("default")


def ids_of(report: Report) -> set[str]:
    return {each.id for section in report.sections for each in section.findings}


def test_redis_that_is_not_there(settings, db):
    port = free_port()
    url = f"redis://user:{PASSWORD}@127.0.0.1:{port}/3"
    settings.TASKS = {"default": {"BACKEND": LOCO, "OPTIONS": {"queue": "redis", "url": url}}}
    away = found("store.unreachable")
    assert away.level == "error"
    assert away.text.startswith(f"The jobs of TASKS['default'] cannot be reached in Redis at 127.0.0.1:{port}/3: ")
    assert "refused" in away.text.lower()
    assert "Start it" not in away.text
    assert away.remedy == "Start or repair it, or correct TASKS['default']['OPTIONS']['url']."
    report = examined(production=True)
    assert PASSWORD not in str(report)
    assert not {"workers.none", "loco.W005"} & ids_of(report)
    assert {"settings", "schedules.reachable"} & ids_of(report)
    assert "schedules.fired" not in ids_of(report)


def test_redis_that_does_not_answer(server: RedisServer, on_redis):
    assert queue_for("default").paused() == set()
    server.pause()
    try:
        began = time.monotonic()
        away = found("store.unreachable", seconds=0.2)
        assert time.monotonic() - began < 4
    finally:
        server.resume()
    assert "no answer within 0.2 s" in away.text


def test_redis_that_may_delete_jobs(server: RedisServer, on_redis):
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert found("loco.W006").level == "warning"
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert "loco.W006" not in problems()


def test_redis_that_has_deleted_keys(server: RedisServer, on_redis):
    tasks.add.enqueue(1, 2)
    with server.client() as client:
        client.mset({f"page:{number}": "x" * 1_000 for number in range(100)})
        assert "redis.evicted" not in problems()
        client.config_set("maxmemory-policy", "allkeys-random")
        client.config_set("maxmemory", "1")
        try:
            client.get("page:1")
            client.config_set("maxmemory", "0")
            gone = found("redis.evicted")
            assert gone.level == "error"
            assert re.search(r"has deleted \d+ keys since it started, to free memory: jobs may be gone\.$", gone.text)
            client.config_set("maxmemory-policy", "volatile-lru")
            assert "redis.evicted" not in problems()
        finally:
            client.config_set("maxmemory", "0")
            client.config_set("maxmemory-policy", "noeviction")
            client.config_resetstat()


def test_redis_without_persistence_is_worth_to_know(on_redis):
    assert found("loco.I001").level == "info"


def test_redis_that_hides_its_configuration(server: RedisServer, settings, db):
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "on", f">{PASSWORD}", "~*", "&*", "+@all", "-config")
    url = server.url.replace("redis://", f"redis://app:{PASSWORD}@")
    settings.TASKS = {"default": {"BACKEND": LOCO, "OPTIONS": {"queue": "redis", "url": url}}}
    hidden = found("redis.hidden")
    assert (hidden.level, "(CONFIG is refused)" in hidden.text) == ("info", True)
    assert PASSWORD not in str(examined())


def test_redis_that_is_nearly_full(on_redis, monkeypatch):
    info = on_redis.server.info
    # The memory of a real server falls when other tests' connections are closed, so the limit goes with it.
    monkeypatch.setattr(
        on_redis.server,
        "info",
        lambda section: {**(known := info(section)), "maxmemory": known.get("used_memory", 0) + 1_000},
    )
    assert found("redis.memory").level == "warning"


def test_redis_that_is_full(server: RedisServer, on_redis):
    with server.client() as client:
        client.config_set("maxmemory", "1")
        try:
            assert found("redis.memory").level == "error"
            assert "loco_jobs delete status:successful --yes" in found("redis.memory").remedy
            assert found("workers.none").remedy.startswith("Mend the store first (see its errors). Then: ")
        finally:
            client.config_set("maxmemory", "0")
    assert found("workers.none").remedy == "Start loco_worker, or loco_start --worker."


def test_redis_that_is_a_replica(server: RedisServer, on_redis):
    with server.client() as client:
        client.replicaof("127.0.0.1", free_port())
        try:
            assert found("redis.replica").level == "error"
        finally:
            client.replicaof("no", "one")
    assert "redis.replica" not in problems()


def test_redis_that_cannot_save(on_redis, monkeypatch):
    info = on_redis.server.info
    monkeypatch.setattr(on_redis.server, "info", lambda section: {**info(section), "rdb_last_bgsave_status": "err"})
    assert found("redis.saving").text.endswith("(rdb_last_bgsave_status).")


def test_redis_that_is_well(settings, db):
    with RedisServer(*ON_DISK, "everysec") as server:
        settings.TASKS = server.setting()
        assert [each.id for each in findings()] == ["workers.none"]


@pytest.mark.parametrize(("ahead", "words"), [(90.0, "90.0 s ahead of"), (-3_600.0, "3,600.0 s behind")])
def test_a_clock_that_differs(on_redis, monkeypatch, ahead: float, words: str):
    monkeypatch.setattr(on_redis, "clock", lambda: time.time() + ahead)
    assert words in found("store.clock").text


def test_jobs_that_were_left_in_a_cache(server: RedisServer, on_redis, settings):
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "jobs": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url},
    }
    settings.TASKS = {"default": {"BACKEND": LOCO, "OPTIONS": {"queue": "redis", "cache": "jobs"}}}
    tasks.add.enqueue(1, 2)
    assert "jobs.elsewhere" not in problems()
    settings.TASKS = {"default": {"BACKEND": LOCO, "OPTIONS": {"queue": "database"}}}
    assert found("jobs.elsewhere").text.startswith("1 job of this alias waits in CACHES['jobs'], where no worker")
    settings.CACHES = settings.CACHES | {
        "jobs": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"redis://127.0.0.1:{free_port()}/0"}
    }
    assert found("jobs.elsewhere").level == "info"


def test_jobs_that_were_left_in_the_database(server: RedisServer, settings, transactional_db):
    tasks.add.enqueue(1, 2)
    settings.TASKS = server.setting()
    assert "TASKS['default'] keeps its jobs elsewhere now" in found("loco.W011").text


def test_jobs_in_memory_cannot_be_seen(settings, db):
    settings.WORKER_MODE = "BackgroundAsync"
    settings.TASKS = {"default": {"BACKEND": LOCO}}
    assert found("store.memory").level == "info"
    assert examined().sections[1].title == "TASKS['default']: memory"
    assert problems() == []
    settings.WORKER_MODE = "ForegroundBlocking"
    assert found("store.foreground").level == "info"


def test_an_alias_that_is_configured_wrongly(settings, db):
    settings.TASKS = {"default": {"BACKEND": LOCO, "OPTIONS": {"queue": "databse"}}}
    assert problems() == ["loco.E002"]
    assert found("store.skipped").level == "info"


@pytest.mark.skipif(ON_POSTGRES, reason="SQLite")
class TestSQLite:
    @pytest.fixture(autouse=True)
    def _jobs(self, transactional_db: None) -> None:
        tasks.add.enqueue(1, 2)

    @pytest.fixture
    def file(self) -> Path:
        return Path(connections["default"].settings_dict["NAME"])

    def test_a_file_that_may_not_be_written(self, monkeypatch, file: Path):
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != file)
        shut = found("sqlite.read-only")
        assert (shut.level, str(file) in shut.text, str(file.parent) + " " in shut.text) == ("error", True, False)

    def test_a_disk_that_is_nearly_full(self, monkeypatch):
        real = shutil.disk_usage
        monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=5 << 20))
        assert found("sqlite.disk").text.endswith("has only 5 MiB left.")

    def test_a_file_whose_name_is_a_uri(self, monkeypatch, file: Path):
        connections["default"].close()
        with monkeypatch.context() as patch:
            patch.setitem(connections["default"].settings_dict, "NAME", f"file:{file}?mode=rw")
            assert problems() == ["workers.none"]
            patch.setattr(os, "access", lambda path, mode: Path(path) != file)
            assert "sqlite.read-only" in problems()
            connections["default"].close()

    @pytest.fixture
    def other_file(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
        """Another file, which does not exist, in place of the database."""
        connections["default"].close()
        with monkeypatch.context() as patch:
            patch.setitem(connections["default"].settings_dict, "NAME", str(tmp_path / "other.sqlite3"))
            yield tmp_path / "other.sqlite3"
            connections["default"].close()

    def test_a_file_that_is_not_there(self, other_file: Path):
        assert f"SQLite, {other_file}: there is no such file" in found("store.unreachable", production=True).text
        remedy = "Run manage.py migrate, which makes it, or correct DATABASES['default']."
        assert (found("store.unreachable").remedy, found("schedules.reachable").remedy) == (remedy, remedy)
        assert not other_file.exists()

    def test_a_file_without_tables(self, other_file: Path):
        other_file.touch()
        assert found("store.unmigrated").remedy == "Run manage.py migrate django_loco."
        assert problems() == ["store.unmigrated"]
        assert "schedules.reachable" not in {each.id for each in findings()}

    def test_a_file_that_is_no_database(self, other_file: Path):
        other_file.write_text("not a database" * 100)
        assert "file is not a database" in found("store.unreachable").text

    def test_a_journal_that_blocks(self, monkeypatch, tmp_path: Path):
        with connections["default"].cursor() as cursor:
            cursor.execute("PRAGMA journal_mode = DELETE")
            try:
                assert found("loco.W003").level == "warning"
            finally:
                cursor.execute("PRAGMA journal_mode = WAL")


@pytest.mark.skipif(not ON_POSTGRES, reason="PostgreSQL")
class TestPostgres:
    @pytest.fixture(autouse=True)
    def _jobs(self, transactional_db: None) -> None:
        tasks.add.enqueue(1, 2)

    def test_more_connections_than_there_are(self, settings):
        settings.LOCO = settings.LOCO | {"NUM_WORKERS": 400}
        assert "and workers may open 406" in found("postgres.connections").text

    def test_a_pool_has_a_size_of_its_own(self, settings, monkeypatch):
        settings.LOCO = settings.LOCO | {"NUM_WORKERS": 400}
        known = connections["default"].settings_dict | {"OPTIONS": {"pool": {"max_size": 20}}}
        monkeypatch.setattr(examiner.DatabaseExaminer, "_settings", known)
        assert "postgres.connections" not in problems()
        assert "postgres.conn-max-age" not in {each.id for each in findings()}

    def test_a_server_that_is_read_only(self):
        with connections["default"].cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")
            try:
                assert "lets this user only read" in found("postgres.read-only").text
            finally:
                cursor.execute("SET default_transaction_read_only = off")

    def test_a_user_without_rights(self):
        with connections["default"].cursor() as cursor:
            cursor.execute('CREATE ROLE "Reader"; GRANT SELECT ON ALL TABLES IN SCHEMA public TO "Reader"')
            cursor.execute('GRANT INSERT, UPDATE ON django_loco_job TO "Reader"; SET ROLE "Reader"')
            try:
                error = found("postgres.rights")
                with pytest.raises(QueueUnavailable, match=r"permission denied for table.*GRANT SELECT"):
                    queue_for("default").pause("default")
                cursor.execute(f'RESET ROLE; {error.remedy.split(";")[0].removeprefix("Run ")}; SET ROLE "Reader"')
                assert "postgres.rights" not in problems()
                queue_for("default").pause("default")
            finally:
                cursor.execute('RESET ROLE; DROP OWNED BY "Reader"; DROP ROLE "Reader"')
        assert error.text.endswith('let the user "Reader" INSERT, UPDATE, DELETE in all tables of django_loco.')

    def test_tables_in_a_schema_that_is_not_searched(self):
        with connections["default"].cursor() as cursor:
            cursor.execute("ALTER SCHEMA public RENAME TO elsewhere")
            try:
                missing = found("store.unmigrated")
                with pytest.raises(QueueUnavailable, match=r"in the schema elsewhere: ALTER ROLE \w+ SET search_path"):
                    queue_for("default").counts()
                assert "cannot be read: the user " in no_tables()
            finally:
                cursor.execute("ALTER SCHEMA elsewhere RENAME TO public")
        assert missing.text.endswith("does not see the tables of django_loco in the schema elsewhere.")
        assert "SET search_path = elsewhere, public, or set search_path in DATABASES['default']" in missing.remedy
        assert missing.remedy.endswith("if they are those of another project, run manage.py migrate django_loco.")

    def test_tables_in_a_schema_that_the_user_may_not_use(self):
        with connections["default"].cursor() as cursor:
            cursor.execute('CREATE ROLE "Reader"; REVOKE USAGE ON SCHEMA public FROM PUBLIC; SET ROLE "Reader"')
            try:
                assert found("store.unmigrated").remedy.startswith('GRANT USAGE ON SCHEMA public TO "Reader"; if they')
            finally:
                cursor.execute('RESET ROLE; GRANT USAGE ON SCHEMA public TO PUBLIC; DROP ROLE "Reader"')

    def test_nearly_all_connections_are_in_use(self, monkeypatch):
        monkeypatch.setattr(examiner, "FULL", 0.0)
        assert "are in use" in found("postgres.connections").text

    def test_a_connection_for_each_job(self):
        assert found("postgres.conn-max-age").level == "info"

    def test_the_address_has_no_password(self, monkeypatch):
        monkeypatch.setitem(connections["default"].settings_dict, "PASSWORD", PASSWORD)
        report = examined()
        assert PASSWORD not in str(report)
        assert any("PostgreSQL, test_postgres at 127.0.0.1:" in section.title for section in report.sections)


class BrokenQueue(MemoryQueue):
    is_shared = True

    class examiner(Examiner):  # noqa: N801
        @property
        def address(self) -> str:
            raise RuntimeError("no address")


def test_a_queue_that_raises_anything_is_a_finding(db, monkeypatch):
    with override_settings(TASKS={"default": {"BACKEND": LOCO, "OPTIONS": {"queue": f"{__name__}.BrokenQueue"}}}):
        assert "workers.none" in problems()
        assert any(section.title == "TASKS['default']" for section in examined().sections)
        monkeypatch.setattr(BrokenQueue, "is_shared", property(lambda self: 1 / 0))
        assert found("doctor.failed").text == (
            "The store of TASKS['default'] cannot be examined: ZeroDivisionError: division by zero"
        )


class QueueOfOnesOwn(MemoryQueue):
    is_shared = True

    class examiner(Examiner):  # noqa: N801
        def skew(self) -> float:
            return 0.0

        def messages(self, connections: int) -> Iterator[CheckMessage]:
            yield CheckMessage(30, "It is odd.", hint="Make it even.", id="own.odd")


def test_a_queue_of_ones_own(db):
    tasks_setting = {"default": {"BACKEND": LOCO, "OPTIONS": {"queue": f"{__name__}.QueueOfOnesOwn"}}}
    with override_settings(TASKS=tasks_setting):
        report = examined()
        assert any(section.title == "TASKS['default']: QueueOfOnesOwn" for section in report.sections)
        assert found("own.odd").remedy == "Make it even."


def test_the_size_of_a_store(queue):
    texts = [os.urandom(5_000).hex() for _ in range(200)]
    queue.enqueue([Job(task_path="a.b", backend="default", arguments=f'[["{text}"],{{}}]') for text in texts])
    assert 1_000_000 < queue.examiner(queue).size() < 500_000_000


def test_the_size_of_a_redis_that_hides_it(queue, monkeypatch):
    if hasattr(queue, "server"):
        monkeypatch.setattr(type(queue.server), "info", lambda self, section: {})
        assert queue.examiner(queue).size() is None
