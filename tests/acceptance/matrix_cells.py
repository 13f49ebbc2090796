"""One cell of the matrix: a command with jobs and requests in flight, what is done to it, and how it takes that.

1. The jobs are enqueued: a few are done by the time, as many run as there is room for and wait for a gate, the rest
   waits in the queue. The requests are in flight and wait for another gate.
2. The event comes. When the process has told all that it ends, both gates open.
3. What the event ends is waited for. What goes on serves, does all jobs, and is told to end then.
4. A ``loco_worker`` does what is left, and what the killed held. Then nothing may be left.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

from django_loco.process.signals.escalation import ONE_SIGNAL_SECONDS
from django_loco.shutdown import CLEAN, FORCED
from tests.processes import Process

from .matrix_rows import Row
from .matrix_site import JOBS, QUICK, REQUESTS, MatrixProject, Story
from .project import Answer, get

#: Seconds: for any wait; longer than what every event has to take.
PATIENCE = 60.0
#: Seconds in which reloaders have looked at all files.
LOOK = 2.0
LOCO = {"SHUTDOWN_TIMEOUT": 20, "LEASE": 6}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What became of it."""

    row: str
    event: str
    lost: int
    twice: int
    cut: int
    code: int
    seconds: float
    excused: bool
    """Whether jobs may run again: nobody waited for them."""
    wrong: tuple[str, ...]


class Request(Answer):
    """One whose client closes its connection when it has an error, rather than have the server wait for that."""

    def run(self) -> None:
        """Ask."""
        super().run()
        if isinstance(self._body, HTTPError):
            self._body.close()


class Trial:
    """A cell on its way."""

    def __init__(self, row: Row, event: str, project: MatrixProject) -> None:
        self.row, self.event, self.project = row, event, project
        self.killed: int | None = None
        self.wrong: list[str] = []
        project.settings["LOCO"] = LOCO | {"NUM_WORKERS": row.slots, "ASYNC_WORKERS": row.slots}

    @property
    def is_clean(self) -> bool:
        """Whether it is an event after which everything has its time."""
        return self.event not in ("INT INT", "kill -9") and not (self.event == "reload" and self.row.recycles)

    def run(self) -> Cell:
        """Go through it."""
        self.project.enqueue_all()
        process = self.start()
        answers = self.fill()
        began = time.monotonic()
        self.strike(process)
        self.open_gates(process)
        cut = self.count_cut(answers)
        code = self.await_end(process)
        seconds = time.monotonic() - began
        master = process.pid if self.row.resource_of_master else None
        self.wrong += Story(self.project.notes()).disorder(self.killed, master)
        self.drain()
        return self.judge(cut, code, seconds)

    def start(self) -> Process:
        """Start the command."""
        row = self.row
        arguments = (*row.command, *(row.reloading if self.event == "reload" else ()))
        variables = {} if row.has_jobs else {"MATRIX_TICKS": "1"}
        if self.event == "INT INT" and not row.has_jobs:
            variables["MATRIX_HOLD"] = "1"  # it would be gone before the second one
        if row.app:
            return self.project.start_gunicorn(*arguments, app=row.app, **variables)
        port = (str(self.project.port),) if row.serves else ()
        return self.project.start(*arguments, *port, **variables)

    def fill(self) -> list[Answer]:
        """Wait until it is as busy as can be."""
        project, row = self.project, self.row
        if row.has_jobs:
            full = row.processes * row.slots * 2
            wait(lambda: sum(project.running().values()) == full and self.ended >= QUICK, "jobs that run")
        else:
            wait(lambda: project.ticks() >= 2, "ticks")
        answers: list[Answer] = [
            Request(project.url(f"slow/{number}")) for number in range(REQUESTS if row.serves else 0)
        ]
        wait(lambda: len(project.notes("request")) == len(answers), "requests in flight")
        return answers

    def strike(self, process: Process) -> None:
        """Do it."""
        match self.event:
            case "TERM" | "HUP":
                process.signal(signal.Signals[f"SIG{self.event}"])
            case "INT" | "INT INT":
                os.killpg(process.pid, signal.SIGINT)
            case "kill -9":
                self.killed = max(self.project.running())
                os.kill(self.killed, signal.SIGKILL)
            case "reload":
                self.change_code()

    def open_gates(self, process: Process) -> None:
        """Let requests and jobs end, when all who are to end know it."""
        if self.event == "kill -9":
            wait(lambda: self.killed not in children(process), "end of a child")
        else:
            # Processes that are replaced one after the other do not all end at once.
            at_once = self.row.processes if self.row.serves or self.event != "HUP" else 1
            wait(lambda: len(self.project.notes("during")) >= at_once, "hooks")
        if self.event == "INT INT":
            threading.Event().wait(3 * ONE_SIGNAL_SECONDS)
            os.killpg(process.pid, signal.SIGINT)
            wait(lambda: not process.is_running, "end")
        for gate in ("requests", "jobs"):
            self.project.open_gate(gate)

    def count_cut(self, answers: list[Answer]) -> int:
        """Return how many requests had no answer."""
        return sum(answer.body() != "late answer" for answer in answers)

    def await_end(self, process: Process) -> int:
        """Return the exit code of what ends, or of what goes on, is well, and is told to end then."""
        if self.event in self.row.goes_on:
            wait(lambda: self.ended == JOBS, "jobs that go on")
            expected = "version 2" if self.event == "reload" else "version 1"
            if self.row.serves and get(self.project.url()) != expected:
                self.wrong.append("does not serve")
            process.signal(signal.SIGTERM)
        return process.wait(PATIENCE)

    def drain(self) -> None:
        """Have all done that is left."""
        worker = self.project.start("loco_worker")
        worker.wait_for("stop +Ctrl-C", PATIENCE)
        seen(lambda: self.project.undone() == 0, PATIENCE)
        if worker.terminate() != CLEAN:
            self.wrong.append("the last worker")

    def judge(self, cut: int, code: int, seconds: float) -> Cell:
        """Say what is wrong with it."""
        story = Story(self.project.notes())
        lost = story.lost + self.project.undone()
        may_be_cut = REQUESTS if self.event == "INT INT" else story.served_by(self.killed or 0)
        found = {
            "lost": lost > 0,
            "twice": story.twice > 0 and self.is_clean,
            "cut": cut > may_be_cut,
            f"exit code, not {self.right_code}": code != self.right_code,
        }
        wrong = [*self.wrong, *(what for what, is_so in found.items() if is_so)]
        return Cell(
            row=self.row.name,
            event=self.event,
            lost=lost,
            twice=story.twice,
            cut=cut,
            code=code,
            seconds=seconds,
            excused=not self.is_clean,
            wrong=tuple(wrong),
        )

    @property
    def right_code(self) -> int:
        """The exit code that it should have."""
        return {"INT INT": FORCED, "kill -9": self.row.killed}.get(self.event, CLEAN)

    @property
    def ended(self) -> int:
        """How many jobs have ended."""
        return len({note.what for note in self.project.notes("end")})

    def change_code(self) -> None:
        """Change the code, and its time until somebody notices: a reloader sees no change before its first look."""
        threading.Event().wait(LOOK)
        self.project.change("pages/urls.py", "version 1", "version 2")
        path = self.project.folder / "pages/urls.py"
        until = time.monotonic() + PATIENCE
        for seconds in range(1, 100):
            os.utime(path, (time.time() + seconds, time.time() + seconds))
            if seen(lambda: bool(self.project.notes("before")), 3.0) or time.monotonic() > until:
                return


def children(process: Process) -> list[int]:
    """Return the ids of its children."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def seen(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until it is so, for some seconds; return whether it is."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        threading.Event().wait(0.05)
    return condition()


def wait(condition: Callable[[], bool], what: str) -> None:
    """Wait until it is so."""
    if not seen(condition, PATIENCE):
        raise AssertionError(f"no {what} within {PATIENCE} s")
