"""Real processes for acceptance tests: start a command, wait for its output, send it signals, read its exit code."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import psycopg

from . import children
from .warm_python import warm_python

ROOT = Path(__file__).parents[1]
#: Long enough for a process that starts at the same time as many others on a slow machine.
SECONDS = 45.0
BLOCKS = range(15_000, 22_700, 100)
_taken: list[socket.socket] = []


class Process:
    """A running command whose output (both streams) is kept line by line.

    Every wait ends at the latest after its ``timeout`` in seconds, with an ``AssertionError`` that shows the output. It
    does not outlive the tests.
    """

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._popen = children.start(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {self.pid}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def title(self) -> str:
        """Its id, its command, and its exit code if it has ended."""
        state = "runs" if self.is_running else f"ended with {self._popen.returncode}"
        return f"{self.pid} {self._popen.args!r}, {state}"

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    @property
    def output(self) -> str:
        with self._news:
            return "\n".join(self.lines)

    def wait_for(self, pattern: str, timeout: float = SECONDS, count: int = 1) -> re.Match[str]:
        """Wait until ``count`` lines match ``pattern`` (a regular expression, searched); return the last match."""
        deadline = time.monotonic() + timeout
        seen, matches = 0, []
        with self._news:
            while True:
                matches += [match for line in self.lines[seen:] if (match := re.search(pattern, line))]
                seen = len(self.lines)
                if len(matches) >= count:
                    return matches[count - 1]
                rest = deadline - time.monotonic()
                assert rest > 0, self._story(f"no {pattern!r} within {timeout} s")
                assert not self._ended, self._story(f"ended without {pattern!r}")
                self._news.wait(rest)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone, not to its children."""
        self._popen.send_signal(number)

    def wait(self, timeout: float = SECONDS) -> int:
        """Wait for the end and return the exit code (``-n``: killed by signal ``n``)."""
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(self._story(f"still running after {timeout} s")) from None
        self._reader.join(timeout)
        return code

    def terminate(self, timeout: float = SECONDS) -> int:
        """Send SIGTERM and return the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> None:
        """Kill it and its children, as far as they still run. Do not wait."""
        children.kill(self._popen)

    def close(self) -> None:
        """Kill it and its children, and wait until no process holds its output any more."""
        children.bury(self._popen)
        self._reader.join()
        assert self._popen.stdout is not None
        self._popen.stdout.close()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self._note(line.rstrip("\n"))
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _note(self, line: str) -> None:
        with self._news:
            self.lines.append(line)
            self._news.notify_all()

    def _story(self, problem: str) -> str:
        return f"{self._popen.args!r}: {problem}. Its output:\n" + "\n".join(self.lines)


def close_all(processes: list[Process]) -> None:
    """Kill all processes first, because a child of one may hold its output for as long as another one lives."""
    for process in processes:
        process.kill()
    for process in processes:
        process.close()


class Site:
    """A Django site (``tests.settings``) with its own database and folder.

    ``settings`` replaces settings for all processes started from then on; values must be JSON.
    """

    def __init__(self, database: str, folder: Path, **settings: Any) -> None:
        self.database = database
        self.folder = folder
        self.settings = settings
        self.processes: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        close_all(self.processes)

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "LOCO_TEST_DATABASE_NAME": self.database,
            "LOCO_TEST_FOLDER": str(self.folder),
            "LOCO_TEST_SETTINGS": json.dumps(self.settings),
            "PYTHONUNBUFFERED": "1",
        }

    def start(self, *arguments: str, **environment: str) -> Process:
        """Start ``manage.py`` with ``arguments``. If it still runs at the end of the test, it is killed."""
        process = Process([sys.executable, "-m", "django", *arguments], self.environment | environment)
        self.processes.append(process)
        return process

    def manage(self, *arguments: str, timeout: float = SECONDS, code: int = 0) -> str:
        """Run ``manage.py`` with ``arguments`` to its end; return its output. Its exit code must be ``code``."""
        with Site(self.database, self.folder, **self.settings) as site:
            process = site.start(*arguments)
            ended = process.wait(timeout)
            assert ended == code, f"{arguments} ended with {ended}:\n{process.output}"
            return process.output

    def shell(self, code: str, timeout: float = SECONDS) -> str:
        """Run Python ``code`` in the site, and return its output.

        Unlike ``manage`` it does not start a process as users do.
        """
        command = ("-m", "django", "shell", "--verbosity", "0", "--command", code)
        ended, output = warm_python.run(command, self.environment, timeout)
        assert ended == 0, f"{code} ended with {ended}:\n{output}"
        return output

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Query the site's database from outside of the site."""
        if os.environ.get("LOCO_TEST_DATABASE") == "postgres":
            port = int(os.environ["LOCO_TEST_POSTGRES_PORT"])
            with psycopg.connect(host="127.0.0.1", port=port, user="loco", dbname=self.database) as connection:
                return connection.execute(sql).fetchall()
        with closing(sqlite3.connect(self.database, timeout=SECONDS)) as file:
            return file.execute(sql).fetchall()


def free_port() -> int:
    """Return a free loopback port that no other test run picks.

    It is below the ports that the system gives to clients. Otherwise, while a server is stopped, a client could take
    its port or connect to itself. The port 10,000 higher, which a Redis in a cluster uses, is also below them.
    """
    while True:
        port = next(_own_ports())
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@functools.cache
def _own_ports() -> Iterator[int]:
    """Take a block of ports. A block belongs to the process that listens on its first port."""
    for first in random.sample(BLOCKS, len(BLOCKS)):
        with contextlib.suppress(OSError):
            _taken.append(socket.create_server(("127.0.0.1", first)))
            return itertools.cycle(range(first + 1, first + BLOCKS.step))
    raise RuntimeError("Every block of ports is taken.")
