"""The site of the matrix: it writes down what happens in which process, one line each, for its story to be checked."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from .servers import ServedProject

JOBS, QUICK, REQUESTS = 200, 20, 20
#: What a process says of its end, in this order.
HOOKS = ["before", "during", "closed", "after"]
#: What may not happen any more in a process that has said such a word.
OVER = {"during": {"start"}, "closed": {"start", "end", "answer"}}

FILES = {
    "pages/steps.py": """
import os, time
from pathlib import Path
FOLDER = Path(__file__).parents[1]

def note(word, what=""):
    with (FOLDER / "notes").open("ab", buffering=0) as file:
        file.write(f"{os.getpid()} {word} {what}\\n".encode())

def is_open(gate):
    return (FOLDER / gate).exists()

def wait_for(gate):
    until = time.monotonic() + 60
    while not is_open(gate) and time.monotonic() < until:
        time.sleep(0.05)
""",
    "pages/tasks.py": f"""
import asyncio
from django_loco.tasks import task
from pages.steps import is_open, note, wait_for

@task
def work(number):
    note("start", number)
    if number >= {QUICK}:
        wait_for("jobs")
    note("end", number)

@task
async def awork(number):
    note("start", number)
    while number >= {QUICK} and not is_open("jobs"):
        await asyncio.sleep(0.05)
    note("end", number)

@task(takes_context=True)
def tick(context):
    note("start", context.task_result.id)
    note("end", context.task_result.id)
""",
    "pages/urls.py": """
from django.http import HttpResponse
from django.urls import path
from pages.steps import note, wait_for

def slow(request, number):
    note("request", number)
    wait_for("requests")
    note("answer", number)
    return HttpResponse("late answer")

urlpatterns = [path("", lambda request: HttpResponse("version 1")), path("slow/<number>", slow)]
""",
    "pages/hooks.py": """
import os
from django_loco import shutdown
from pages.steps import note, wait_for

@shutdown.before_server_shutdown
def before(context):
    note("before")

@shutdown.during_server_shutdown
def during(context):
    note("during")
    if "MATRIX_HOLD" in os.environ:
        wait_for("jobs")

@shutdown.after_server_shutdown
async def after(context):
    note("after")

shutdown.track("resource", lambda: note("closed"))
""",
    "pages/schedules.py": """
import os
from django_loco import scheduler
from pages.tasks import tick

if "MATRIX_TICKS" in os.environ:
    scheduler.every(tick, seconds=1, name="ticking")
""",
}
ENQUEUE = f"""
from django_loco.tasks import enqueue_many
from pages.tasks import awork, work
enqueue_many(work, range(0, {JOBS}, 2))
enqueue_many(awork, range(1, {JOBS}, 2))
"""


@dataclass(frozen=True)
class Note:
    """One line."""

    pid: int
    word: str
    what: str


class MatrixProject(ServedProject):
    """The small project with jobs, requests and hooks that leave notes."""

    def __init__(self, folder: Path, database: bytes) -> None:
        super().__init__(folder)
        for name, text in FILES.items():
            self.write(name, text)
        (folder / "db.sqlite3").write_bytes(database)

    def enqueue_all(self) -> None:
        """Enqueue the jobs, sync and async ones."""
        self.shell(ENQUEUE)

    def notes(self, *words: str) -> list[Note]:
        """Return what was noted under one of ``words``, in order; without words, everything."""
        path = self.folder / "notes"
        lines = path.read_text().splitlines() if path.exists() else []
        notes = (line.split(" ", 2) for line in lines)
        return [Note(int(pid), word, what.strip()) for pid, word, what in notes if not words or word in words]

    def undone(self) -> int:
        """Return how many stored jobs are not done."""
        with closing(sqlite3.connect(self.folder / "db.sqlite3", timeout=20)) as file:
            (count,) = file.execute("select count(*) from django_loco_job where status != 'SUCCESSFUL'").fetchone()
            return int(count)

    def ticks(self) -> int:
        """Return how many ticks became jobs."""
        with closing(sqlite3.connect(self.folder / "db.sqlite3", timeout=20)) as file:
            (count,) = file.execute("select count(*) from django_loco_job where key like 'ticking@%'").fetchone()
            return int(count)

    def running(self) -> dict[int, int]:
        """Return how many jobs each process runs, by its id."""
        counts: Counter[int] = Counter()
        for note in self.notes("start", "end"):
            counts[note.pid] += 1 if note.word == "start" else -1
        return {pid: count for pid, count in counts.items() if count > 0}


@dataclass(frozen=True)
class Story:
    """What the notes say once all is over."""

    notes: list[Note]

    @property
    def lost(self) -> int:
        """Jobs that did not come to their end."""
        ended = {note.what for note in self.notes if note.word == "end"}
        return sum(str(number) not in ended for number in range(JOBS))

    @property
    def twice(self) -> int:
        """Jobs that began more than once."""
        starts = Counter(note.what for note in self.notes if note.word == "start")
        return sum(count > 1 for count in starts.values())

    def served_by(self, pid: int) -> int:
        """Return how many requests came to a process."""
        return sum(note.pid == pid for note in self.notes if note.word == "request")

    def disorder(self, killed: int | None, master: int | None) -> Iterator[str]:
        """Yield what a process did out of its order. One that was ``killed`` has none; a ``master`` closes for all."""
        right = [word for word in HOOKS if word != "closed" or master is None]
        by_process: dict[int, list[str]] = defaultdict(list)
        for note in self.notes:
            by_process[note.pid].append(note.word)
        for pid, words in by_process.items():
            hooks = [word for word in words if word in HOOKS]
            if pid != killed and hooks != (["closed"] if pid == master else right):
                yield f"hooks of {pid}: {' '.join(hooks) or 'none'}"
            for word, late in OVER.items():
                after = words[words.index(word) + 1 :] if word in words else []
                yield from (f"{pid}: {one} after {word}" for one in after if one in late)
