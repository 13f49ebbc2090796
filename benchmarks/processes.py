"""Programs that end when this one does, and what they use up meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

#: Passes SIGTERM on when the line to the harness breaks, however that ended, and kills the whole group later.
GUARD = '"$@" & child=$!; read -r _; kill -TERM $child 2>/dev/null; (sleep 20; kill -KILL 0) & wait $child'
STOP_SECONDS = 15
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Process:
    """A program and its children, in a group of their own; use it as a context manager.

    At the end it gets SIGTERM, and what is left of the group after ``STOP_SECONDS`` is killed.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path) -> None:
        self._command = command
        self._environment = environment
        self._log = log
        self._folder = folder

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                ["sh", "-c", GUARD, "guard", *self._command],
                env=dict(self._environment),
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._popen.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"  {self._command[0]} did not end within {STOP_SECONDS} s of SIGTERM and was killed")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()

    @property
    def is_running(self) -> bool:
        """Whether the program, or a child of it, still runs."""
        return bool(self._members())

    @property
    def count(self) -> int:
        """How many processes it consists of."""
        return len(self._members())

    def cpu_seconds(self) -> float:
        """Return the processor time that its processes have used."""
        return sum(int(fields[11]) + int(fields[12]) for fields in self._members().values()) / TICKS

    def resident_bytes(self) -> int:
        """Return the resident memory of its largest process, which is the one that runs the jobs."""
        return max((int(fields[21]) * PAGE for fields in self._members().values()), default=0)

    def _members(self) -> dict[int, list[str]]:
        """Return the processes of the group, without the guard: what /proc says of each after its name."""
        found = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[2]) == self._popen.pid and fields[0] != "Z":
                    found[int(path.parent.name)] = fields
        found.pop(self._popen.pid, None)
        return found
