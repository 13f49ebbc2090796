"""A storm: many workers at work on one queue, killed one after the other at random.

``LOCO_CHAOS_SEED`` makes it draw the same victims and moments once more. Moments are counted in jobs done, so that
kills are spread over all of them, however fast the machine is.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from django_loco.core.job import FAILED, SUSPECT
from tests.processes import Process, Site

from .chaos import SCALE, notes, redis_queue, statuses, wait_until

SEED = int(os.environ.get("LOCO_CHAOS_SEED") or random.randrange(1_000_000))
#: Workers by themselves, and children of the one parent.
SINGLES, CHILDREN = min(2, SCALE), 2
#: Every so many-th job fails once before it succeeds; every so many-th is put off, by up to two seconds.
FAILS, DEFERRED = 10, 7
#: The part of the jobs that is done when the last kill is due.
LAST = 0.9
ENQUEUE = """
from datetime import timedelta
from django.utils import timezone
from django_loco.tasks import enqueue_many
from tests.app import tasks
for task, first in (tasks.shaky, 0), (tasks.ashaky, 1):
    numbers = range(first, {count}, 2)
    enqueue_many(task, [(number, number % {fails} < 2) for number in numbers if number % {deferred}])
    for number in numbers[:: {deferred}] if not first else numbers[3 :: {deferred}]:
        later = timezone.now() + timedelta(seconds=1 + number % 11 / 10)
        task.using(run_after=later).enqueue(number, number % {fails} < 2)
"""
#: The numbers of poison jobs begin here.
POISON = 1_000_000
ENQUEUE_POISON = """
from django_loco.tasks import enqueue_many
from tests.app import tasks
enqueue_many(tasks.forking, range({count}, {count} + {forks}))
for number in range({poison}, {poison} + {killers}):
    (tasks.akiller if number % 2 else tasks.killer).using(priority=number // 2 % 2).enqueue(number)
"""


@dataclass
class Toll:
    """What a storm has cost."""

    jobs: int
    kills: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    """Jobs whose outcome is missing, or is not that of their last attempt."""

    more_than_once: int = 0
    """Jobs with more recorded attempts than they needed."""

    begun_again: int = 0
    """Runs whose worker was killed before their outcome was stored, and that were begun anew."""

    needlessly: int = 0
    """Runs that were begun anew though nobody had killed their worker."""

    doubled: int = 0
    """Runs that came to their end although one of the same attempt had."""

    waits: list[tuple[float, int]] = field(default_factory=list)
    """Seconds from a kill until a job that it interrupted was begun again, and how many killed workers held it then.

    That is one, unless the next worker was killed, too, before it had begun with what it had fetched.
    """

    harmless_failed: int = 0
    """Jobs that failed as lost although they did no harm."""

    poison_failed: int = 0
    """Poison jobs that failed as lost."""

    suspects: int = 0
    """Harmless jobs that had died twice with others, and then ran alone."""

    @property
    def longest(self) -> float:
        """The longest wait, in seconds, for those that one worker had held."""
        return max((seconds for seconds, holders in self.waits if holders == 1), default=0.0)

    @classmethod
    def head(cls) -> str:
        names = "queue", "jobs", "kills", "lost", "recorded twice", "begun again", "ran to the end twice", "back after"
        return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"

    def row(self, name: str) -> str:
        kills = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        counts = (self.lost, self.more_than_once, self.begun_again, self.doubled)
        figures = " | ".join(map(str, counts))
        return f"| {name} | {self.jobs} | {self.kills.total()}: {kills} | {figures} | {self.longest:.1f} s |"


class Storm:
    """Workers on the queue of ``site``, and who kills them.

    1. ``enqueue`` sync and async jobs, some of which fail at first, and some of which are put off; and, if wanted, jobs
       that kill their worker or leave a fork behind.
    2. ``rage``: kill, and start another one wherever nobody else does.
    3. ``settle``: wait until every job has ended, and count.
    """

    def __init__(
        self, site: Site, jobs: int, kills: int, *, killers: int = 0, forks: int = 0, seed: int = SEED
    ) -> None:
        """``killers``: how many jobs kill their worker in each run; ``forks``: how many leave a forked copy of it."""
        self._site = site
        self._killers, self._forks = killers, forks
        self._random = random.Random(f"{seed}")
        self._jobs = jobs
        self._moments = sorted(self._random.sample(range(jobs // 20, int(jobs * LAST)), kills))
        self._singles: list[Process] = []
        self._killed: dict[int, float] = {}
        self._toll = Toll(jobs)

    def enqueue(self) -> None:
        self._site.shell(ENQUEUE.format(count=self._jobs, fails=FAILS, deferred=DEFERRED), timeout=60)
        if self._killers or self._forks:
            numbers = {"count": self._jobs, "forks": self._forks, "killers": self._killers, "poison": POISON}
            self._site.shell(ENQUEUE_POISON.format(**numbers), timeout=60)

    def rage(self) -> None:
        self._singles = [self._site.start("loco_worker") for _ in range(SINGLES)]
        self._start_parent()
        for moment in self._moments:
            wait_until(lambda moment=moment: self._revive() and sum(notes(self._site, "end").values()) >= moment, 120)
            self._kill(*self._random.choice(self._alive()))

    def settle(self, seconds: float) -> Toll:
        wait_until(lambda: self._revive() and not {"READY", "RUNNING"} & set(statuses(self._site)), seconds)
        processes = *self._singles, self._parent
        for process in processes:
            process.wait_for("stop +Ctrl-C")  # the last one has just been started: until then a signal kills it
            process.signal(signal.SIGTERM)
        assert [process.wait() for process in processes] == [0] * len(processes)
        self._records = recorded(self._site)
        self._count_recorded()
        self._count_runs()
        return self._toll

    def _start_parent(self) -> None:
        self._parent = self._site.start("loco_worker", "--processes", str(CHILDREN))

    def _revive(self) -> bool:
        """Start another one for each worker that a job has killed, as a service manager does; always true."""
        self._singles = [one if one.is_running else self._site.start("loco_worker") for one in self._singles]
        return True

    def _alive(self) -> list[tuple[str, int]]:
        """Name the processes that may be killed: those that have run a job, so that something is at stake."""
        at_work = {run.pid for run in runs(self._site)}
        singles = [("worker", process.pid) for process in self._singles]
        children = [("child", pid) for pid in _children(self._parent.pid)]
        alive = [(kind, pid) for kind, pid in (*singles, *children) if pid in at_work and pid not in self._killed]
        return [*alive, *([("parent", self._parent.pid)] if {pid for _, pid in children} & at_work else [])] or singles

    def _kill(self, kind: str, pid: int) -> None:
        self._killed[pid] = time.monotonic()
        self._toll.kills[kind] += 1
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if kind == "worker":
            self._singles = [process for process in self._singles if process.pid != pid]
            self._singles.append(self._site.start("loco_worker"))
        elif kind == "parent":
            self._start_parent()

    def _count_recorded(self) -> None:
        failed = lost_numbers(self._site)
        self._toll.poison_failed = sum(number >= POISON for number in failed)
        self._toll.harmless_failed = len(failed) - self._toll.poison_failed
        self._toll.suspects = sum(record.deaths == SUSPECT for record in self._records.values())
        for number in range(self._jobs + self._forks):
            attempts = self._records[number].attempts if number in self._records else 0
            needed = 2 if number % FAILS < 2 and number < self._jobs else 1
            self._toll.lost += attempts < needed
            self._toll.more_than_once += attempts > needed

    def _count_runs(self) -> None:
        began: defaultdict[tuple[int, int], list[Run]] = defaultdict(list)
        ended: Counter[tuple[int, int]] = Counter()
        every = runs(self._site)
        self._killed |= {run.pid: run.at for run in every if run.attempt[0] >= POISON}
        for run in every:
            if run.attempt[0] >= POISON:
                continue
            if run.word == "start":
                began[run.attempt].append(run)
            else:
                ended[run.attempt] += 1
        self._toll.doubled = sum(count - 1 for count in ended.values())
        pairs = [pair for again in began.values() for pair in pairwise(again)]
        interrupted = Counter(run.attempt[0] for run, _ in pairs)
        for run, following in pairs:
            number, killed_at = run.attempt[0], self._killed.get(run.pid)
            if killed_at is None:
                self._toll.needlessly += 1
            else:
                holders = 1 + self._records[number].deaths - interrupted[number]
                self._toll.waits.append((following.at - killed_at, holders))
        self._toll.begun_again = len(self._toll.waits)


@dataclass
class Run:
    """A note of a job: it has begun an attempt, failed or come to its end."""

    word: str
    attempt: tuple[int, int]
    """The number of the job, and of its attempt."""

    pid: int
    at: float


def runs(site: Site) -> list[Run]:
    """Return the notes of all jobs in order."""
    path = site.folder / "notes"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [Run(word, (int(n), int(attempt)), int(pid), float(at)) for word, n, attempt, pid, at in lines]


@dataclass
class Record:
    """What is stored of a job that has succeeded."""

    attempts: int
    """Of how many an outcome is recorded."""

    deaths: int
    """How many workers died while they held it."""


def recorded(site: Site) -> dict[int, Record]:
    """Return what is stored, by the numbers of the jobs that have succeeded."""
    found: list[tuple[Any, Any, int]]
    if queue := redis_queue(site):
        found = [(job.return_value, job.worker_ids, job.lost) for job in queue.list(limit=100_000) if job.return_value]
    else:
        rows = site.query("select return_value, worker_ids, lost from django_loco_job where status = 'SUCCESSFUL'")
        found = [(value, json.loads(workers), lost) for value, workers, lost in rows]
    return {int(value): Record(len(workers), lost) for value, workers, lost in found}


def lost_numbers(site: Site) -> list[int]:
    """Return the numbers of the jobs that have failed as lost."""
    if queue := redis_queue(site):
        calls = [job.arguments for job in queue.list(status=FAILED, limit=100_000)]
    else:
        calls = [text for (text,) in site.query("select arguments from django_loco_job where status = 'FAILED'")]
    return [json.loads(text)[0][0] for text in calls]


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
