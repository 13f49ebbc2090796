"""Runs of schedulers that are killed, and what became of their ticks.

1. So many processes with a scheduler are started, on one store, with a schedule of one second.
2. Every few seconds a random one is killed with ``kill -9``, and another one started.
3. At the end all ticks between the start of the last of the first ones and the end have to be there, each once.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from django_loco.scheduler.misfire import MISSED_AFTER
from tests.processes import SECONDS, Process

from .matrix_cells import children, wait
from .ticks_sites import Tick

STARTED = r"stop +Ctrl-C"
#: Seconds for which a process is suspended: longer than what counts as late.
SUSPENDED = 2 * MISSED_AFTER.total_seconds()
RULES = ("skip", "once", "all")


@dataclass(frozen=True, kw_only=True)
class Toll:
    """What became of the ticks of a run."""

    name: str
    schedulers: int
    seconds: float
    kills: int
    ticks: int
    missed: int
    twice: int
    latest: float
    """By how many seconds a tick was fired late, at most."""

    note: str = ""

    @property
    def wrong(self) -> bool:
        """Whether it is not as it has to be."""
        return bool(self.missed or self.twice) or not self.ticks

    @classmethod
    def head(cls) -> str:
        """Return the head of the table."""
        columns = ("store", "schedulers", "seconds", "kill -9", "ticks", "missed", "twice", "latest")
        return f"| {' | '.join(columns)} |\n|---|{'--:|' * (len(columns) - 1)}"

    def row(self) -> str:
        """Return a line of it."""
        numbers = (self.schedulers, f"{self.seconds:.0f}", self.kills, self.ticks, self.missed, self.twice)
        return f"| {self.name}{self.note} | {' | '.join(map(str, numbers))} | {1000 * self.latest:,.0f} ms |"


class Trial:
    """``crowd`` times ``loco_scheduler`` on what ``make`` makes."""

    schedules: Sequence[str] = ("tick",)
    """The names of those of one second whose ticks are looked at."""

    tail = 1.0
    """Seconds at the end of a run whose ticks may not have been fired yet."""

    def __init__(self, name: str, make: Callable[[], Any], crowd: int) -> None:
        self.name, self._make, self.crowd = name, make, crowd
        self.kills = 0
        self._random = random.Random(name)

    def run(self, seconds: float, every: float) -> Toll:
        """Go through it."""
        with self._make() as self.site:
            self.start()
            began = time.time()
            self.rage(time.monotonic() + seconds, every)
            ended = time.time()
            self.stop()
            return self.judge(self.site.ticks(), began, ended)

    def start(self) -> None:
        """Start all, and wait until they are there."""
        self.processes = [self.start_one() for _ in range(self.crowd)]
        for process in self.processes:
            process.wait_for(STARTED, 3 * SECONDS)

    def start_one(self) -> Process:
        """Start a scheduler."""
        process: Process = self.site.start("loco_scheduler")
        return process

    def rage(self, until: float, every: float) -> None:
        """Kill and start, until the time has come."""
        while (rest := until - time.monotonic()) > 0:
            threading.Event().wait(min(every, rest))
            if rest > every:
                self.kill_one()
                self.kills += 1

    def kill_one(self) -> None:
        """Kill one, and start another."""
        victim = self._random.choice(self.processes)
        self.processes.remove(victim)
        os.kill(victim.pid, signal.SIGKILL)
        self.processes.append(self.start_one())

    def stop(self) -> None:
        """End them all in good order."""
        for process in self.processes:
            process.signal(signal.SIGTERM)
        codes = [process.wait(3 * SECONDS) for process in self.processes]
        # One that was started just now may not listen to signals yet.
        assert set(codes) <= {0, -signal.SIGTERM}, (codes, *(process.output for process in self.processes))

    def judge(self, ticks: list[Tick], began: float, ended: float) -> Toll:
        """Compare them with what they have to be."""
        seconds = [float(second) for second in range(int(began) + 1, int(ended)) if began < second < ended - self.tail]
        expected = set(product(self.schedules, seconds))
        ours = [tick for tick in ticks if tick.schedule in self.schedules and began < tick.at < ended - self.tail]
        found = Counter((tick.schedule, tick.at) for tick in ours)
        return Toll(
            name=self.name,
            schedulers=self.crowd,
            seconds=ended - began,
            kills=self.kills,
            ticks=len(found),
            missed=len(expected - set(found)),
            twice=sum(count > 1 for count in found.values()) + len(set(found) - expected),
            latest=max((tick.fired - tick.at for tick in ours), default=0.0),
        )


class Served(Trial):
    """Processes of gunicorn, which replaces those that are killed."""

    def start(self) -> None:
        """Start them, and wait until each has a scheduler."""
        self.processes = [self.site.start_gunicorn("--workers", str(self.crowd))]
        wait(lambda: len(self.schedulers()) == self.crowd, "schedulers")

    def kill_one(self) -> None:
        """Kill a process that has a scheduler."""
        os.kill(self._random.choice(sorted(self.schedulers())), signal.SIGKILL)

    def schedulers(self) -> Collection[int]:
        """Return the children that have told of their schedules."""
        told = {int(line.split()[1]) for line in self.site.log_lines() if line.endswith(" 1 schedule")}
        return told & set(children(self.processes[0]))


class Stopped(Trial):
    """A single one, which is suspended. Of the ticks of that time each schedule has what its rule says."""

    schedules = ("all",)

    def start(self) -> None:
        """Start it with a schedule for each rule."""
        self.site.settings["LOCO"] = {
            "SCHEDULE": {
                rule: {"run": "tests.app.tasks.tick", "schedule": {"seconds": 1}, "misfire": rule} for rule in RULES
            }
        }
        super().start()
        wait(lambda: {tick.schedule for tick in self.site.ticks()} >= set(RULES), "ticks of each schedule")

    def rage(self, until: float, every: float) -> None:
        """Suspend it, and let it go on; that takes as long as it takes."""
        (process,) = self.processes
        self._from = time.time()
        process.signal(signal.SIGSTOP)
        threading.Event().wait(SUSPENDED)
        process.signal(signal.SIGCONT)
        self._until = time.time()
        threading.Event().wait(3.0)

    def judge(self, ticks: list[Tick], began: float, ended: float) -> Toll:
        """Count the ticks of the time; those of ``all`` are judged like others."""
        fired = Counter(tick.schedule for tick in ticks if self._from < tick.at < self._until)
        whole = super().judge(ticks, began, ended)
        late = MISSED_AFTER.total_seconds()
        right = fired["once"] == 1 and late - 2 <= fired["skip"] <= late + 1
        note = "; fired afterwards: " + ", ".join(f"{rule} {fired[rule]}" for rule in RULES)
        return Toll(**{**vars(whole), "note": note, "twice": whole.twice + (not right)})
