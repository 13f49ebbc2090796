"""One system on a fresh store."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .environments import FOLDER, Environment
from .processes import Process
from .stores import Store
from .systems import System

PROJECTS = Path(__file__).parent / "projects"
#: How long a line in the file of marks is, see ``projects/bodies.py``.
LINE = 31
#: Seconds that a program that enqueues may take.
ENQUEUE_SECONDS = 300
#: Seconds without a single job after which those that are missing are taken for lost.
STALL_SECONDS = 20
#: Seconds that all jobs of a trial may take.
DRAIN_SECONDS = 240
NANO = 1e9
#: For a system whose jobs run where they are enqueued.
NO_WORKER = ("sleep", "3600")


@dataclass(frozen=True)
class Marks:
    """What the jobs of a trial have left behind: when, in nanoseconds, and which."""

    entries: list[tuple[int, int]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """From the first to the last."""
        return (self.entries[-1][0] - self.entries[0][0]) / NANO if self.entries else 0.0

    @property
    def rate(self) -> float:
        """Jobs per second."""
        return (len(self.entries) - 1) / self.seconds if self.seconds else 0.0

    def lost(self, count: int) -> int:
        """Return how many of ``count`` are missing; there may be more of which nobody waited for the end."""
        return max(0, count - len({number for _, number in self.entries}))

    @property
    def doubled(self) -> int:
        """How many ran more than once."""
        return sum(times > 1 for times in Counter(number for _, number in self.entries).values())


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What is the same for all systems."""

    synchronous: str = "NORMAL"
    """SQLite's pragma. ``FULL``: the disk is waited for at each commit."""


class WorkerGone(Exception):
    """The worker process has ended by itself and has run nothing."""


class Trial:
    """Enqueues jobs through a system, runs its worker, and reads their marks.

    Numbers of jobs begin at 0 and go on from one ``enqueue`` to the next.
    """

    def __init__(self, system: System, store: Store, label: str, choices: Choices) -> None:
        """``label`` names the log of its processes."""
        self.system = system
        self.store = store
        self.count = 0
        """How many jobs have been enqueued."""
        self._environment = Environment(system)
        self._choices = choices
        logs = FOLDER / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._log = logs / f"{label}-{system.name}-{system.store}.log"
        self._marks = store.folder / "marks"
        self._marks.unlink(missing_ok=True)
        self._marks.touch()
        self._place = store.fresh(system, self._prepare)

    def enqueue(self, kind: str, count: int, how: str = "many", *pauses: float) -> dict[str, Any]:
        """Enqueue ``count`` jobs; return what ``projects/client.py`` tells."""
        arguments = [self.system.jobs, how, kind, self.count, count, *pauses]
        command = self._command(("python", str(PROJECTS / "client.py"), *map(str, arguments)))
        self.count += count
        with self._log.open("ab") as log:
            done = subprocess.run(
                command,
                env=self._environ(),
                cwd=self.store.folder,
                timeout=ENQUEUE_SECONDS,
                check=True,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        return dict(json.loads(done.stdout))

    @contextmanager
    def worker(self, width: int) -> Iterator[Process]:
        """Run a worker process that takes ``width`` jobs at once."""
        command = self._command(self.system.worker or NO_WORKER, width=width)
        with Process(command, self._environ(width), self._log, self.store.folder) as self._worker:
            yield self._worker

    def wait(self, count: int | None = None, seconds: float = DRAIN_SECONDS) -> Marks:
        """Wait until ``count`` jobs (else: all that were enqueued) have run, or until no more do; return the marks.

        Raises ``WorkerGone`` if none has, and none will.
        """
        wanted = self.count if count is None else count
        deadline = time.monotonic() + seconds
        seen, since = -1, time.monotonic()
        while seen < wanted and time.monotonic() < min(deadline, since + STALL_SECONDS):
            size = self._marks.stat().st_size // LINE
            if size != seen:
                seen, since = size, time.monotonic()
            time.sleep(0.02)
        if seen == 0 and wanted and not self._worker.is_running:
            raise WorkerGone(f"its worker has ended; why is in {self._log}")
        return self.marks()

    def marks(self) -> Marks:
        """Return the marks that are there."""
        lines = self._marks.read_bytes().splitlines()
        return Marks(sorted((int(line[:20]), int(line[21:])) for line in lines))

    def _prepare(self, place: dict[str, str]) -> None:
        for command in self.system.prepare:
            with self._log.open("ab") as log:
                subprocess.run(
                    self._command(command),
                    env=self._environ(place=place),
                    cwd=self.store.folder,
                    check=True,
                    timeout=ENQUEUE_SECONDS,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )

    def _command(self, template: tuple[str, ...], **values: Any) -> list[str]:
        url = getattr(self, "_place", {}).get("BENCH_URL", "")
        program, *rest = template
        words = (word.replace("{width}", str(values.get("width"))).replace("{url}", url) for word in rest)
        return [self._environment.program(program), *words]

    def _environ(self, width: int = 1, place: dict[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOCO", "DJANGO", "PYTHON"))}
        return {
            **kept,
            "PATH": f"{self._environment.folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(PROJECTS),
            "BENCH_MARKS": str(self._marks),
            "BENCH_STORE": self.system.store,
            "BENCH_WIDTH": str(width),
            "BENCH_SETTINGS": json.dumps(self.system.settings),
            "BENCH_LOG": "off" if self.system.is_silent else "lines",
            "BENCH_SYNCHRONOUS": self._choices.synchronous,
            **self.system.environ,
            **(self._place if place is None else place),
        }
