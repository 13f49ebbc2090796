"""Server-sent events of the dashboard, by real servers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest

from django_loco.dashboard.live.events import LIFE_SECONDS
from django_loco.shutdown import CLEAN
from tests.acceptance.admin.stream_site import Client, StreamClient, held, session_of, with_dashboard
from tests.acceptance.project import get, wait_until
from tests.acceptance.servers import ServedProject
from tests.postgres import Server
from tests.processes import SECONDS, Process
from tests.redis_server import RedisServer

ENQUEUE = "from pages.tasks import work\nwork.enqueue('one')\nprint('enqueued')"
#: Seconds that a server without requests takes to end, on a machine that does much else.
END_SECONDS = 5.0
SERVERS = {
    "loco_start": lambda site: site.serve("--http", "uvicorn", "--noreload"),
    "uvicorn": lambda site: listening(
        site.command("uvicorn", "site_lifespan:application", f"--port={site.port}", LOCO_START="")
    ),
    "gunicorn": lambda site: site.gunicorn("-k", "asgi", app="site_asgi", LOCO_START=""),
    "gunicorn with uvicorn's class": lambda site: started(
        site.command("gunicorn", "-k", UVICORN, "-b", f"127.0.0.1:{site.port}", "site_lifespan", LOCO_START="")
    ),
}
#: Its successor, the package ``uvicorn-worker``, has the same class.
UVICORN = "uvicorn.workers.UvicornWorker"


OTHERS = (
    lambda site: listening(site.command("uvicorn", "site_asgi:application", f"--port={site.port}")),
    lambda site: site.serve("--noreload"),  # runserver, by WSGI
)
VIEWER = """
from django.contrib.auth.models import Permission, User
viewer = User.objects.create_user("viewer", is_staff=True)
viewer.user_permissions.set(Permission.objects.filter(codename="view_job"))
"""
TENANTS = """
from django_loco import jobs
def seen_by(request):
    return jobs.filter(queue="emails")
"""
POSTGRES = {"ENGINE": "django.db.backends.postgresql", "NAME": "site", "USER": "loco", "HOST": "127.0.0.1"}


def listening(process: Process) -> Process:
    process.wait_for("Uvicorn running")
    return process


def started(process: Process) -> Process:
    process.wait_for("Application startup complete")
    return process


@pytest.fixture
def site(served: ServedProject) -> ServedProject:
    return with_dashboard(served)


@pytest.fixture
def postgres_site(served: ServedProject) -> Iterator[tuple[ServedProject, Server]]:
    """A site whose only database is a PostgreSQL of its own."""
    with closing(Server()) as server:
        server.start()
        server.create_database("site")
        served.settings["DATABASES"] = {"default": {**POSTGRES, "PORT": str(server.port)}}
        yield with_dashboard(served), server


@pytest.fixture
def postgres_jobs(served: ServedProject) -> Iterator[tuple[ServedProject, Server]]:
    """A site with its users in SQLite, and its jobs in a PostgreSQL of its own."""
    with closing(Server()) as server:
        server.start()
        server.create_database("site")
        file = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(served.folder / "db.sqlite3")}
        served.settings["DATABASES"] = {"default": file, "jobs": {**POSTGRES, "PORT": str(server.port)}}
        backend = {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"database": "jobs"}}
        served.settings["TASKS"] = {"default": backend}
        served.shell(
            "from django.core.management import call_command\ncall_command('migrate', database='jobs', verbosity=0)"
        )
        yield with_dashboard(served), server


def thread_names(pid: int) -> set[str]:
    """Return the names of the threads of a process, as far as the system knows them: 15 characters."""
    return {each.read_text().strip() for each in Path(f"/proc/{pid}/task").glob("*/comm")}


@contextmanager
def opened(site: ServedProject, session: str, count: int) -> Iterator[list[StreamClient]]:
    """Open streams, each of which has got its first mark; close them at the end."""
    with ExitStack() as stack:
        streams = [stack.enter_context(StreamClient(site, session)) for _ in range(count)]
        for each in streams:
            each.wait_for_first()
        yield streams


@pytest.mark.extra("gunicorn with uvicorn's class")
@pytest.mark.parametrize("server", SERVERS)
def test_changes_are_told_at_once_and_streams_do_not_delay_the_end(site, server):
    process = SERVERS[server](site)
    session = session_of(site)
    with Client(site, session) as page:
        assert b'data-changes="/jobs/changes"' in page.answer.read()
    with opened(site, session, 20) as streams:
        with Client(site, session, "jobs/changes") as one_more:
            assert one_more.answer.status == HTTPStatus.NO_CONTENT
        assert streams[0].answer.headers["X-Accel-Buffering"] == "no"
        last = streams[0].last_of(quiet_seconds=1.5)
        assert site.shell(ENQUEUE).split()[-1] == "enqueued"
        until = time.monotonic() + 1.0
        for each in streams:
            each.wait_for_new(last, until - time.monotonic())
        began = time.monotonic()
        process.terminate()
        assert time.monotonic() - began < END_SECONDS
        for each in streams:
            each.wait_for_end()
    assert "Handed back or cut off" not in process.output


def test_clients_that_vanish_are_freed_and_nothing_is_left_of_two_hundred(site):
    process = SERVERS["loco_start"](site)
    session = session_of(site)

    def visit(count: int) -> None:
        for number in range(count):
            with StreamClient(site, session) as stream:
                stream.wait_for_first()
                if number % 2:
                    stream.reset()

    visit(25)
    wait_until(lambda: "loco-dashboard" not in thread_names(process.pid), "end of the thread")
    threads, files = held(process.pid)
    visit(200)
    wait_until(lambda: "loco-dashboard" not in thread_names(process.pid), "end of the thread")
    wait_until(lambda: held(process.pid) <= (threads, files), f"{threads} threads and {files} files")
    with StreamClient(site, session) as stream:  # the places are free as well
        stream.wait_for_first()
    assert process.terminate() == CLEAN


def test_no_connection_to_a_database_is_held_for_a_stream(postgres_site):
    site, server = postgres_site
    process = SERVERS["loco_start"](site)
    session = session_of(site)
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'site'"
    with server.connect() as connection:
        with opened(site, session, 10):
            wait_until(lambda: connection.execute(count).fetchone()[0] <= 1, "single connection")
        wait_until(lambda: connection.execute(count).fetchone()[0] == 0, "end of the connection")
    assert process.terminate() == CLEAN


def test_a_stream_ends_and_only_who_may_still_see_the_dashboard_gets_another(site):
    process = SERVERS["loco_start"](site)
    site.shell(VIEWER)
    viewer, admin = session_of(site, "viewer"), session_of(site)
    with StreamClient(site, viewer) as first:
        first.wait_for_end(LIFE_SECONDS[1] + SECONDS)
        last = first.marks[-1]
    with StreamClient(site, viewer, last) as again:  # it is told nothing that it knows
        again.wait_for(lambda: bool(again.marks), "mark")
        assert last not in again.marks
    site.shell(
        "from django.contrib.auth.models import User\nUser.objects.get(username='viewer').user_permissions.clear()"
    )
    assert status_of(site, viewer) == HTTPStatus.FORBIDDEN
    site.shell("from django.contrib.sessions.models import Session\nSession.objects.all().delete()")
    assert status_of(site, admin) == HTTPStatus.UNAUTHORIZED
    assert process.terminate() == CLEAN


def test_tenants_and_servers_that_would_wait_for_streams_get_none(site):
    site.write("pages/tenants.py", TENANTS)
    site.settings["LOCO"]["DASHBOARD"] = "pages.tenants.seen_by"
    process = SERVERS["loco_start"](site)
    session = session_of(site)
    assert offers(site, session) == (False, HTTPStatus.NO_CONTENT)
    assert process.terminate() == CLEAN
    del site.settings["LOCO"]["DASHBOARD"]
    for start in OTHERS:
        process = start(site)
        assert offers(site, session) == (False, HTTPStatus.NO_CONTENT)
        process.terminate()
    site.settings["LOCO"]["DASHBOARD_STREAM"] = False
    process = SERVERS["loco_start"](site)
    assert offers(site, session) == (False, HTTPStatus.NO_CONTENT)
    assert process.terminate() == CLEAN


@pytest.mark.timeout(120)
def test_a_redis_that_hangs_or_is_gone_leaves_the_site_alone(served, redis_server):
    with RedisServer() as redis:
        served.settings["TASKS"] = redis.setting()
        site = with_dashboard(served)
        require_survival(site, redis.pause, redis.resume)


@pytest.mark.timeout(120)
def test_a_postgres_that_hangs_leaves_the_site_alone(postgres_jobs):
    site, server = postgres_jobs
    require_survival(site, server.pause, server.resume)


def require_survival(site: ServedProject, pause: Callable[[], None], resume: Callable[[], None]) -> None:
    process = SERVERS["loco_start"](site)
    session = session_of(site)
    assert parts_status(site, session) == HTTPStatus.OK
    with opened(site, session, 5) as streams:
        pause()
        streams[0].wait_for(lambda: streams[0].marks[-1] == "away", "mark of a store that is away")
        assert get(site.url("other")) == "other page"
        assert parts_status(site, session) == HTTPStatus.SERVICE_UNAVAILABLE
        with Client(site, session) as page:
            assert (page.answer.status, b"what was last known" in page.answer.read()) == (503, True)
        assert get(site.url("other")) == "other page"
        assert status_of(site, session) == HTTPStatus.OK  # a stream
        resume()
        with StreamClient(site, session, "away") as stream:
            stream.wait_for_first()
            assert parts_status(site, session) == HTTPStatus.OK
        pause()
        began = time.monotonic()
        process.terminate()
        assert time.monotonic() - began < END_SECONDS
    resume()


def parts_status(site: ServedProject, session: str) -> int:
    """Return the status of an answer to the script of a page."""
    with Client(site, session, Accept="application/json") as asked:
        return asked.answer.status


def status_of(site: ServedProject, session: str) -> int:
    """Return the status of an answer to a request for a stream."""
    with Client(site, session, "jobs/changes", Accept="text/event-stream") as asked:
        return asked.answer.status


def offers(site: ServedProject, session: str) -> tuple[bool, int]:
    """Return whether a page names the stream, and the status of an answer to a request for it."""
    with Client(site, session) as page:
        shown = page.answer.read()
    assert page.answer.status == HTTPStatus.OK
    return b"data-changes" in shown, status_of(site, session)
