"""Private servers and files: each trial begins with an empty one."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

import redis
from tests import postgres

from .processes import Process
from .systems import System

START_SECONDS = 20
#: Runs a system's command that prepares a database, in the given environment.
Prepare = Callable[[dict[str, str]], None]


class Store(ABC):
    """Where the jobs of a trial wait. ``start`` once, ``fresh`` before each trial, ``close`` at the end."""

    name: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        """``folder`` is for its files."""
        self.folder = folder

    def start(self) -> None:  # noqa: B027 - a file need not be started
        """Bring it up."""

    def close(self) -> None:  # noqa: B027
        """Take it down, and its data with it."""

    @abstractmethod
    def fresh(self, system: System, prepare: Prepare) -> dict[str, str]:
        """Return environment variables that lead to an empty place for the jobs of ``system``."""

    def watch(self, seconds: float) -> float | None:
        """Wait for so many seconds; return how many commands per second came from clients, if it can tell."""
        time.sleep(seconds)
        return None

    @property
    def version(self) -> str:
        """What it is."""
        return self.name


class Memory(Store):
    """The process that enqueues."""

    name = "memory"

    def fresh(self, system: System, prepare: Prepare) -> dict[str, str]:  # noqa: ARG002
        return {}


class SQLite(Store):
    """A file."""

    name = "sqlite"

    def fresh(self, system: System, prepare: Prepare) -> dict[str, str]:
        template = self.folder / f"{system.name}.sqlite3"
        if not template.exists():
            prepare({"BENCH_FILE": str(template)})
            template.touch()
        for old in self.folder.glob("trial.sqlite3*"):
            old.unlink()
        trial = self.folder / "trial.sqlite3"
        shutil.copy(template, trial)
        return {"BENCH_FILE": str(trial)}


class Postgres(Store):
    """The tests' private server, and a database per trial."""

    name = "postgres"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._server = Server()
        self._templates: set[str] = set()

    def start(self) -> None:
        self._server.start()
        self._server.configure("log_line_prefix", "%d ")

    def close(self) -> None:
        self._server.close()

    def fresh(self, system: System, prepare: Prepare) -> dict[str, str]:
        template = f"template-{system.name}"
        if template not in self._templates:
            self._server.create_database(template)
            prepare(self._leading_to(template))
            self._templates.add(template)
        self._server.drop_database("trial")
        self._server.create_database("trial", template)
        return self._leading_to("trial")

    def watch(self, seconds: float) -> float:
        self._server.configure("log_statement", "all")
        before = self._server.statements("trial")
        time.sleep(seconds)
        seen = self._server.statements("trial") - before
        self._server.configure("log_statement", "none")
        return seen / seconds

    @property
    def version(self) -> str:
        with self._server.connect() as connection:
            return f"PostgreSQL {connection.info.server_version // 10000}.{connection.info.server_version % 10000}"

    def _leading_to(self, database: str) -> dict[str, str]:
        port = str(self._server.port)
        url = f"postgresql://{postgres.USER}@127.0.0.1:{port}/{database}"
        return {"BENCH_PORT": port, "BENCH_DATABASE": database, "BENCH_URL": url}


class Server(postgres.Server):
    """The tests' server, which can also count what it is asked."""

    def configure(self, name: str, value: str) -> None:
        """Change a setting for all connections, also those that are open."""
        with self.connect() as connection:
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            connection.execute("SELECT pg_reload_conf()")

    def statements(self, database: str) -> int:
        """Return how many statements its log has of a database."""
        log = self._log.read_text(errors="replace")
        return len(re.findall(rf"^{database} LOG:  (?:statement|execute [^:]*): ", log, re.MULTILINE))


class Redis(Store):
    """A private server without persistence."""

    name = "redis"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._client = redis.Redis(port=self._port)

    def start(self) -> None:
        program = shutil.which("redis-server") or _from_apt()
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxmemory", "4gb"]
        command = [program, "--port", str(self._port), *options]
        self._process = Process(command, {}, self.folder / "redis.log", self.folder)
        self._process.__enter__()
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise RuntimeError(f"redis-server did not start: {self.folder / 'redis.log'}")
            time.sleep(0.05)

    def close(self) -> None:
        self._client.close()
        self._process.__exit__()

    def fresh(self, system: System, prepare: Prepare) -> dict[str, str]:  # noqa: ARG002
        self._client.flushall()
        self._client.script_flush()
        return {"BENCH_URL": f"redis://127.0.0.1:{self._port}/0"}

    def watch(self, seconds: float) -> float:
        """Count what clients send, not what scripts do with it."""
        with socket.create_connection(("127.0.0.1", self._port)) as line:
            line.sendall(b"MONITOR\r\n")
            time.sleep(seconds)
            line.sendall(b"QUIT\r\n")
            told = b"".join(iter(lambda: line.recv(65536), b""))
        commands = [entry for entry in told.split(b"\r\n") if entry[:2] == b"+1" and b" lua] " not in entry]
        return len(commands) / seconds

    @property
    def version(self) -> str:
        return f"Redis {self._client.info('server')['redis_version']}"

    def _answers(self) -> bool:
        try:
            return bool(self._client.ping())
        except redis.exceptions.ConnectionError:
            return False


def _from_apt() -> str:
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "redis-server"], check=True)
    return shutil.which("redis-server") or "redis-server"


class Stores:
    """The stores that a run needs, each started when the first trial asks for it."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="loco-bench-"))
        self._started: dict[str, Store] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for store in self._started.values():
            store.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __getitem__(self, name: str) -> Store:
        if name not in self._started:
            kind = next(kind for kind in (Memory, SQLite, Postgres, Redis) if kind.name == name)
            store = kind(self._folder)
            store.start()
            self._started[name] = store
        return self._started[name]

    @property
    def versions(self) -> list[str]:
        """What has been started."""
        return [store.version for store in self._started.values()]
