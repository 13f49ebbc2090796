"""What is measured. Each measure is one function of a ``Trial``; the clock is in the jobs, or in who enqueues them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .systems import System
from .trial import Trial

THREADS = 10
COROUTINES = 100
#: For ``io``: how many naps at once, and how many in all.
NAPPERS, NAPS, NAP = 40, 2500, 0.05
FLOOR = NAPS / NAPPERS * NAP
#: For ``latency``: jobs per round, and the seconds between two of them.
KNOCKS, PAUSES = 80, (0.05, 0.35)
#: For ``idle``: seconds that a worker gets to calm down, and that it is watched.
CALM, WATCHED = 4.0, 15.0
#: For ``backlog``: how many jobs wait, how many in the comparison, and over how many the rate is taken.
MANY_WAIT, FEW_WAIT, DRAINED = 1_000_000, 10_000, 10_000
#: For ``growth``: jobs in all, and those after which a process has what it needs.
GROWTH, WARM, PORTION = 300_000, 30_000, 10_000
MEBI = 1024 * 1024

#: What a trial gives: samples by the name of what they are samples of.
Figures = Mapping[str, Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A figure in the report, made of all samples of one name from all rounds."""

    title: str
    of: str
    make: Callable[[Sequence[float]], float] = statistics.median
    digits: int = 0


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Something to be measured of each system that can do it."""

    name: str
    title: str
    run: Callable[[Trial, int], Figures]
    columns: tuple[Column, ...]
    """The first is the one that systems are compared by."""

    applies: Callable[[System], bool] = lambda system: True  # noqa: ARG005
    more_is_better: bool = True
    sized: bool = False
    """Whether the number of jobs follows from how fast the system is."""

    is_long: bool = False
    """Whether it takes minutes, and is left out unless named."""

    once: bool = False
    """Whether one round is enough."""


def percentile(part: float) -> Callable[[Sequence[float]], float]:
    """Return what takes the value below which ``part`` of the samples are."""
    return lambda samples: sorted(samples)[min(len(samples) - 1, int(part * len(samples)))]


def sync(trial: Trial, jobs: int) -> Figures:
    """Jobs wait, then a worker comes: jobs per second from the first finish to the last."""
    trial.enqueue("empty", jobs)
    with trial.worker(THREADS):
        return {"rate": [trial.wait().rate]}


def coroutines(trial: Trial, jobs: int) -> Figures:
    """Like ``sync``."""
    trial.enqueue("aempty", jobs)
    with trial.worker(COROUTINES):
        return {"rate": [trial.wait().rate]}


def enqueue(trial: Trial, jobs: int) -> Figures:
    """One call after the other, no worker; then one that shows whether they are all there."""
    return _enqueue(trial, jobs, "singly")


def enqueue_many(trial: Trial, jobs: int) -> Figures:
    """A thousand jobs per call; then a worker that shows whether they are all there."""
    return _enqueue(trial, jobs, "many")


def _enqueue(trial: Trial, jobs: int, how: str) -> Figures:
    told = trial.enqueue("empty", jobs, how)
    with trial.worker(THREADS):
        trial.wait()
    return {"rate": [(jobs - 1) / told["seconds"]]}


def latency(trial: Trial, jobs: int) -> Figures:
    """A worker has nothing to do; now and then comes a job: from the beginning of the call to the job's body."""
    with trial.worker(THREADS):
        _prime(trial)
        first = trial.count + 1  # the one that opens the client's connections is not counted
        told = trial.enqueue("empty", min(jobs, KNOCKS) + 1, "paced", *PAUSES)
        ended = {number: at for at, number in trial.wait().entries}
    begun = enumerate(told["beginnings"], first)
    return {"ms": [(ended[number] - at) / 1e6 for number, at in begun if number in ended]}


def naps(trial: Trial, jobs: int) -> Figures:  # noqa: ARG001
    """Jobs that wait for something else, as most do."""
    return _naps(trial, "nap")


def async_naps(trial: Trial, jobs: int) -> Figures:  # noqa: ARG001
    """The same as coroutines."""
    return _naps(trial, "anap")


def _naps(trial: Trial, kind: str) -> Figures:
    trial.enqueue(kind, NAPS)
    with trial.worker(NAPPERS):
        return {"seconds": [trial.wait().seconds + NAP]}


def idle(trial: Trial, jobs: int) -> Figures:  # noqa: ARG001
    """What a worker without work costs."""
    with trial.worker(THREADS) as process:
        _prime(trial)
        time.sleep(CALM)
        before = process.cpu_seconds()
        commands = trial.store.watch(WATCHED)
        cpu = (process.cpu_seconds() - before) / WATCHED * 100
        return {"cpu": [cpu], "commands": [] if commands is None else [commands]}


def memory(trial: Trial, jobs: int) -> Figures:  # noqa: ARG001
    """What a worker takes that has begun to work."""
    with trial.worker(THREADS) as process:
        _prime(trial)
        trial.enqueue("empty", 100)
        trial.wait()
        return {"rss": [process.resident_bytes() / MEBI], "processes": [process.count]}


def growth(trial: Trial, jobs: int) -> Figures:  # noqa: ARG001
    """What a worker takes after many jobs, over what it took after some."""
    warm = 0.0
    with trial.worker(THREADS) as process:
        while trial.count < GROWTH:
            trial.enqueue("empty", PORTION)
            trial.wait()
            if trial.count == WARM:
                warm = process.resident_bytes() / MEBI
        grown = process.resident_bytes() / MEBI - warm
        return {"warm": [warm], "grown": [grown]}


def backlog(trial: Trial, jobs: int) -> Figures:  # noqa: ARG001
    """How fast the first jobs go when very many wait."""
    return _drain(trial, MANY_WAIT)


def short_backlog(trial: Trial, jobs: int) -> Figures:  # noqa: ARG001
    """What ``backlog`` is compared with."""
    return _drain(trial, FEW_WAIT)


def _drain(trial: Trial, waiting: int) -> Figures:
    trial.enqueue("empty", waiting)
    with trial.worker(THREADS):
        marks = trial.wait(DRAINED)
    trial.count = DRAINED  # the others are left where they are
    first = marks.entries[:DRAINED]
    return {"rate": [(len(first) - 1) / ((first[-1][0] - first[0][0]) / 1e9)]}


def _prime(trial: Trial) -> None:
    """See a first job through, so that the worker is surely there."""
    trial.enqueue("empty", 1)
    trial.wait()


def _has_worker(system: System) -> bool:
    return bool(system.worker)


RATE = (Column(title="jobs/s", of="rate"),)
NAPPING = (
    Column(title="s", of="seconds", digits=3),
    Column(title="over the floor, %", of="seconds", digits=1, make=lambda s: (statistics.median(s) / FLOOR - 1) * 100),
)

ALL = (
    Measure(name="sync", title=f"Empty jobs, {THREADS} threads", run=sync, columns=RATE, sized=True),
    Measure(
        name="async",
        title=f"Empty async jobs, {COROUTINES} at once",
        run=coroutines,
        columns=RATE,
        sized=True,
        applies=lambda system: system.coroutines,
    ),
    Measure(name="enqueue", title="`enqueue`, one call after the other", run=enqueue, columns=RATE, sized=True),
    Measure(
        name="enqueue-many",
        title="Enqueue a thousand jobs per call",
        run=enqueue_many,
        columns=RATE,
        sized=True,
        applies=lambda system: system.many,
    ),
    Measure(
        name="latency",
        title="Idle worker: from the call of `enqueue` to the job's first line",
        run=latency,
        columns=(
            Column(title="p50, ms", of="ms", digits=2, make=percentile(0.5)),
            Column(title="p99, ms", of="ms", digits=2, make=percentile(0.99)),
        ),
        more_is_better=False,
    ),
    Measure(
        name="io",
        title=f"{NAPS} jobs of {NAP * 1000:.0f} ms, {NAPPERS} threads (floor: {FLOOR} s)",
        run=naps,
        columns=NAPPING,
        more_is_better=False,
        applies=lambda system: system.threads and _has_worker(system),  # who can be told how many at once
    ),
    Measure(
        name="async-io",
        title=f"{NAPS} jobs of {NAP * 1000:.0f} ms, {NAPPERS} coroutines (floor: {FLOOR} s)",
        run=async_naps,
        columns=NAPPING,
        more_is_better=False,
        applies=lambda system: system.coroutines and _has_worker(system),
    ),
    Measure(
        name="idle",
        title=f"A worker without work, for {WATCHED:.0f} s",
        run=idle,
        columns=(
            Column(title="% of a core", of="cpu", digits=2),
            Column(title="commands/s", of="commands", digits=1),
        ),
        more_is_better=False,
        applies=_has_worker,
        once=True,
    ),
    Measure(
        name="memory",
        title="Resident memory of a worker process that has run 100 jobs",
        run=memory,
        columns=(
            Column(title="MiB", of="rss", digits=1),
            Column(title="processes", of="processes"),
        ),
        more_is_better=False,
        applies=_has_worker,
        once=True,
    ),
    Measure(
        name="growth",
        title=f"Growth of a worker from {WARM:,} jobs to {GROWTH:,}",
        run=growth,
        columns=(Column(title="MiB more", of="grown", digits=1), Column(title="MiB before", of="warm", digits=1)),
        more_is_better=False,
        applies=_has_worker,
        is_long=True,
        once=True,
    ),
    Measure(
        name="short-backlog",
        title=f"Drain rate with {FEW_WAIT:,} jobs waiting",
        run=short_backlog,
        columns=RATE,
        applies=_has_worker,
        is_long=True,
    ),
    Measure(
        name="backlog",
        title=f"Drain rate of the first {DRAINED:,} with {MANY_WAIT:,} jobs waiting",
        run=backlog,
        columns=RATE,
        applies=_has_worker,
        is_long=True,
        once=True,
    ),
)


def named(name: str) -> Any:
    """Return the measure with that name."""
    return next(measure for measure in ALL if measure.name == name)
