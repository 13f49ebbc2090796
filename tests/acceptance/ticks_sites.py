"""Sites with a schedule of one second, on each store."""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Self
from uuid import uuid4

from tests.postgres import Server
from tests.processes import SECONDS, Site
from tests.redis_server import RedisServer

from .servers import ServedProject

STORES = ("sqlite", "postgres", "redis")
SCHEDULES = """
from django_loco import scheduler
from pages.tasks import work
scheduler.every(work, seconds=1, args=["tick"], name="tick")
"""
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(created)f %(process)d %(message)s"}},
    "handlers": {"file": {"class": "logging.FileHandler", "formatter": "plain"}},
    "loggers": {"django_loco.scheduler": {"level": "DEBUG", "handlers": ["file"]}},
}
MIGRATE = "from django.core.management import call_command; call_command('migrate', verbosity=0)"
#: Prints when each job of a schedule was due and when it was made.
TOLD = """
import json
from django_loco.queues import queue_for
jobs = queue_for("default").list(limit=100_000)
print(json.dumps([[job.key, job.run_after.isoformat(), job.enqueued_at.isoformat()] for job in jobs if job.key]))
"""


class Tick(NamedTuple):
    """A tick that was fired."""

    schedule: str
    at: float
    """When it was due, in seconds since 1970."""

    fired: float


class TickSite(Site):
    """A site whose processes also get ``variables``."""

    def __init__(self, database: str, folder: Path, variables: dict[str, str], **settings: Any) -> None:
        super().__init__(database, folder, **settings)
        self._variables = variables | {"LOCO_TEST_TICKS": "1"}

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | self._variables

    def migrate(self) -> None:
        """Make the tables."""
        self.shell(MIGRATE, timeout=3 * SECONDS)

    def ticks(self) -> list[Tick]:
        """Return the ticks that the store has."""
        told = json.loads(self.shell(TOLD, timeout=3 * SECONDS))
        return [Tick(key.partition("@")[0], _moment(at), _moment(made)) for key, at, made in told]


class TickProject(ServedProject):
    """A project under gunicorn with its jobs in memory. Its schedulers note what they have fired."""

    def __init__(self, folder: Path, database: bytes) -> None:
        super().__init__(folder)
        (folder / "db.sqlite3").write_bytes(database)
        self.write("pages/schedules.py", SCHEDULES)
        self._log = folder / "fired.log"
        handler = {**LOGGING["handlers"]["file"], "filename": str(self._log)}  # type: ignore[index]
        self.settings |= {"WORKER_MODE": "BackgroundAsync", "LOGGING": LOGGING | {"handlers": {"file": handler}}}
        self.open_gate("tick")

    def log_lines(self) -> list[str]:
        """Return what the schedulers have said so far: when, which process, and what."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    def ticks(self) -> list[Tick]:
        """Return the ticks that were fired, as the log has them."""
        lines = [line.split(maxsplit=2) for line in self.log_lines()]
        return [
            Tick("tick", _moment(text.rpartition(" of ")[2]), float(created))
            for created, _, text in lines
            if "fired the tick of" in text and "another" not in text
        ]


class Sites:
    """Makes sites, each with a store of its own on servers that they share."""

    def __init__(self, folder: Path, migrated: bytes) -> None:
        """``folder`` is for their files, ``migrated`` a SQLite database that has the tables."""
        self._folder = folder
        self._migrated = migrated
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._postgres: Server | None = None
        self._redis: RedisServer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def make(self, store: str) -> TickSite:
        """Return a site with an empty store."""
        folder = self._new_folder()
        with self._lock:
            site = getattr(self, f"_{store}_site")(folder)
            assert isinstance(site, TickSite)
            return site

    def served(self) -> TickProject:
        """Return a project for gunicorn."""
        return TickProject(self._new_folder(), self._migrated)

    def _sqlite_site(self, folder: Path) -> TickSite:
        (folder / "site.sqlite3").write_bytes(self._migrated)
        return TickSite(str(folder / "site.sqlite3"), folder, {"LOCO_TEST_DATABASE": "sqlite"})

    def _postgres_site(self, folder: Path) -> TickSite:
        if self._postgres is None:
            self._postgres = Server()
            self._postgres.start()
            self._stack.callback(self._postgres.close)
        name = f"ticks_{uuid4().hex}"
        self._postgres.create_database(name)
        where = {"LOCO_TEST_DATABASE": "postgres", "LOCO_TEST_POSTGRES_PORT": str(self._postgres.port)}
        site = TickSite(name, folder, where)
        site.migrate()
        return site

    def _redis_site(self, folder: Path) -> TickSite:
        if self._redis is None:
            self._redis = self._stack.enter_context(RedisServer())
        site = self._sqlite_site(folder)
        site.settings["TASKS"] = self._redis.setting(uuid4().hex)
        return site

    def _new_folder(self) -> Path:
        folder = self._folder / uuid4().hex
        folder.mkdir()
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
