"""The three pages of health in a site, with a database, a queue and a cache that answer, fail or hang."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.core.checks import run_checks
from django.db import OperationalError, connection, connections
from django.db.migrations.recorder import MigrationRecorder
from django.test import AsyncClient, Client
from django.urls import include, path

from django_loco import shutdown
from django_loco.core.job import Job, utcnow
from django_loco.exceptions import QueueUnavailable
from django_loco.process.health import report
from django_loco.queues import queue_for
from django_loco.queues.workers import WorkerInfo
from django_loco.worker import in_process
from tests.app.tasks import add

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]
urlpatterns = [path("", include("django_loco.urls.health"))]

SECONDS = 10.0


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(shutdown, "_stopping", threading.Event())
    report.forget()
    yield
    report.forget()


def get(path: str, **headers: str):
    return Client(headers=headers).get(path)


@pytest.mark.parametrize("path", ["/_ping", "/_health", "/_readiness"])
def test_all_is_well(path):
    response = get(path)
    assert (response.status_code, response.json()["status"]) == (200, "ok")
    assert "no-store" in response.headers["Cache-Control"]
    assert Client().post(path).status_code == 405


def test_what_readiness_looks_at():
    assert get("/_readiness").json() == {
        "status": "ok",
        "checks": {"database": {"status": "ok"}, "cache": {"status": "ok"}, "queue default": {"status": "ok"}},
    }


def test_under_asgi():
    assert async_to_sync(AsyncClient().get)("/_readiness").status_code == 200


def test_no_login_is_needed_and_no_transaction_begun(settings, monkeypatch):
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)
    monkeypatch.setattr(connections["default"], "cursor", away)
    monkeypatch.setattr(connections["default"], "set_autocommit", away)
    assert get("/_ping").status_code == get("/_health").status_code == 200


def away(*arguments, **options):
    raise OperationalError("password authentication failed for postgres://user:secret@host")


def test_the_oldest_job_that_is_due_tells_progress():
    queue_for("default").enqueue(
        [Job(task_path=add.module_path, backend="default", enqueued_at=utcnow() - timedelta(seconds=60))]
    )
    assert 60 <= get("/_health").json()["queues"]["default"]["oldest_waiting_age"] < 60 + SECONDS


@pytest.mark.parametrize(("lease", "workers", "status"), [(60.0, 1, "ok"), (-1.0, 0, "degraded")])
def test_jobs_that_wait_while_no_worker_lives_are_told(lease, workers, status):
    queue = queue_for("default")
    queue.enqueue([Job(task_path=add.module_path, backend="default", enqueued_at=utcnow() - timedelta(seconds=60))])
    queue.register(
        WorkerInfo(
            worker_id="w",
            host="a",
            pid=1,
            queues=None,
            tags=None,
            threads=1,
            coroutines=1,
            lease=lease,
            started_at=utcnow(),
        )
    )
    response = get("/_health")
    told = response.json()["queues"]["default"]
    assert (response.status_code, response.json()["status"]) == (200, status)
    assert (told["workers"], told["status"], told["problem"]) == (workers, status, "" if workers else "no worker")
    assert (
        "loco.W012" in {message.id for message in run_checks(tags=["loco"], include_deployment_checks=True)}
    ) is not workers


def test_a_queue_that_is_away_makes_it_not_ready_and_is_no_failure_of_the_process(monkeypatch, caplog):
    def away(queues=None):
        raise QueueUnavailable("redis://user:secret@host is away")

    monkeypatch.setattr(queue_for("default"), "oldest_due", away)
    response = get("/_readiness")
    assert (response.status_code, response.json()["status"]) == (503, "away")
    assert response.json()["checks"]["queue default"] == {"status": "away", "reason": "QueueUnavailable"}
    assert response.json()["checks"]["database"] == {"status": "ok"}
    assert b"secret" not in response.content
    assert "Service Unavailable" not in caplog.text  # or the admins would get a mail a second
    response = get("/_health")
    told = response.json()["queues"]["default"]
    assert (response.status_code, told["status"], told["oldest_waiting_age"]) == (200, "ok", None)


def test_a_database_without_all_migrations_makes_it_not_ready():
    latest = MigrationRecorder(connection).migration_qs.filter(app="django_loco").latest("name")
    latest.delete()
    response = get("/_readiness")
    assert (response.status_code, response.json()["status"]) == (503, "away")
    assert response.json()["checks"]["queue default"] == {"status": "away", "reason": "MissingMigrations"}
    assert get("/_health").status_code == 200
    MigrationRecorder(connection).record_applied("django_loco", latest.name)
    report.forget()
    assert get("/_readiness").status_code == 200


def test_migrations_are_looked_for_until_they_are_there(monkeypatch):
    asked: list[str] = []
    missing = True

    def is_unmigrated(database: str) -> bool:
        asked.append(database)
        return missing

    monkeypatch.setattr(report, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(report, "is_unmigrated", is_unmigrated)
    assert [get("/_readiness").status_code for _ in range(2)] == [503, 503]
    missing = False
    asked.clear()
    assert [get("/_readiness").status_code for _ in range(3)] == [200, 200, 200]
    assert asked == ["default"]


@pytest.mark.parametrize("what", ["database", "cache"])
def test_another_dependency_that_is_away(monkeypatch, what):
    monkeypatch.setattr(report, f"_ask_{what}", away)
    response = get("/_readiness")
    assert response.status_code == 503
    assert response.json()["checks"][what] == {"status": "away", "reason": "OperationalError"}
    assert b"secret" not in response.content


def test_a_database_that_hangs_hangs_nothing_here(monkeypatch):
    gate, threads = threading.Event(), []

    def hang(*arguments):
        threads.append(threading.current_thread())
        gate.wait(SECONDS)

    monkeypatch.setattr(report, "_ask_database", hang)
    monkeypatch.setattr(queue_for("default"), "oldest_due", hang)
    began = time.monotonic()
    for _ in range(5):
        response = get("/_readiness")
        assert response.status_code == 503
        assert response.json()["checks"]["database"] == {"status": "away", "reason": "no answer"}
        assert get("/_health").status_code == get("/_ping").status_code == 200
    gate.set()
    assert time.monotonic() - began < 3 * report.ANSWER_SECONDS
    assert len(threads) == 2
    for thread in threads:
        thread.join(SECONDS)


def test_dependencies_are_asked_once_a_second_however_many_ask(monkeypatch):
    asked = []
    monkeypatch.setattr(report, "_ask_database", lambda: asked.append(1))
    monkeypatch.setattr(report, "FRESH_SECONDS", 60.0)
    for _ in range(20):
        get("/_readiness")
    assert len(asked) == 1


STRICT = ["django_loco.middleware.health", "django.middleware.security.SecurityMiddleware"]


@pytest.mark.parametrize(("middleware", "code"), [(STRICT, 200), (STRICT[1:], 301)], ids=["with", "without"])
@pytest.mark.parametrize("path", ["/_ping", "/_health", "/_readiness"])
def test_as_middleware_it_answers_whatever_the_others_would_say(settings, middleware, code, path):
    settings.MIDDLEWARE, settings.SECURE_SSL_REDIRECT, settings.ALLOWED_HOSTS = middleware, True, ["testserver"]
    assert Client().get(path, headers={"Host": "testserver"}).status_code == code
    if code == 200:
        assert Client().get(path, headers={"Host": "10.1.2.3:8000"}).status_code == code
        assert async_to_sync(AsyncClient().get)(path, headers={"Host": "10.1.2.3:8000"}).status_code == code
        assert Client().get("/", headers={"Host": "testserver"}).status_code == 301


def test_a_worker_that_the_first_job_started_is_shown(settings):
    settings.WORKER_MODE = "BackgroundAsync"
    add.enqueue(1, 2)
    worker = get("/_health").json()["components"]["worker"]
    assert (worker["status"], worker["state"], worker["stuck"]) == ("ok", "running", False)
    in_process.stop(time.monotonic())
