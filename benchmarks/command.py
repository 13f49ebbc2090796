"""The command line: choose, install, measure in rounds, print."""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from . import measures, systems
from .arguments import names_among
from .environments import FOLDER, Environment, NotInstalled
from .measures import Measure
from .report import Report
from .stores import Stores
from .systems import System
from .trial import Choices, Trial

#: A trial lasts about so many seconds, within the number of jobs that ``--jobs`` allows.
TRIAL_SECONDS = 2.0
FEWEST, TRYOUT = 300, 2000
ROUNDS, JOBS, MINUTES = 3, 30_000, 240.0
QUICK_ROUNDS, QUICK_JOBS, QUICK_MINUTES = 1, 1000, 2.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; print Markdown on stdout and progress on stderr."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    run = Run(options)
    try:
        run.install()
        with Stores() as stores:
            run.measure(stores)
            kinds = stores.versions
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    page = run.report.render(run.measures, run.systems, kinds)
    run.keep()
    print(page)
    return 0


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


class Run:
    """One run of the program: interleaved rounds, so that what disturbs the machine disturbs all alike."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.report = Report()
        self.systems: list[System] = options.systems
        self.measures: list[Measure] = options.measures
        self._rounds: int = options.rounds
        self._jobs: int = options.jobs
        self._choices = Choices(synchronous=options.synchronous)
        self._deadline = time.monotonic() + options.minutes * 60
        self._counts: dict[tuple[str, str], int] = {}
        self._begun = datetime.now(UTC)

    def install(self) -> None:
        """Make the environments; a system that cannot be had is left out and named in the report."""
        for system in self.systems:
            if system.name in self.report.versions or system.name in self.report.missing:
                continue
            _say(f"install {system.name}")
            environment = Environment(system)
            try:
                environment.ensure()
            except NotInstalled as error:
                self.report.missing[system.name] = str(error)
            else:
                self.report.versions[system.name] = environment.version
        self.systems = [system for system in self.systems if system.name not in self.report.missing]

    def measure(self, stores: Stores) -> None:
        """Take all rounds of one measure, then of the next."""
        for measure in self.measures:
            able = [system for system in self.systems if measure.applies(system)]
            for number in range(1 if measure.once else self._rounds):
                for system in random.sample(able, len(able)):
                    if time.monotonic() > self._deadline:
                        self.report.notes.append(f"The time was up at {measure.name}, round {number + 1}")
                        return
                    self._try(measure, system, stores, number)

    def keep(self) -> None:
        """Write down every sample, for whoever wants more than medians."""
        told = {
            measure: {key: vars(result) for key, result in by_system.items()}
            for measure, by_system in self.report.results.items()
        }
        path = FOLDER / f"results-{self._begun:%Y%m%d-%H%M%S}.json"
        path.write_text(json.dumps({"versions": self.report.versions, "results": told}, indent=1))
        _say(f"every sample is in {path}")

    def _try(self, measure: Measure, system: System, stores: Stores, number: int) -> None:
        result = self.report.results[measure.name][system.key]
        try:
            count = self._count(measure, system, stores)
            trial = self._trial(measure, system, stores)
            figures = measure.run(trial, count)
        except Exception as error:  # noqa: BLE001 - it is in the report, and the others go on
            result.failure = f"{type(error).__name__}: {error}"[:200]
            _say(f"{measure.name} {number + 1} {system.key}: {result.failure}")
            return
        for name, samples in figures.items():
            result.samples[name] += samples
        marks = trial.marks()
        result.jobs += trial.count
        result.lost += marks.lost(trial.count)
        result.doubled += marks.doubled
        shown = ", ".join(f"{name} {sorted(found)[len(found) // 2]:,.2f}" for name, found in figures.items() if found)
        _say(f"{measure.name} {number + 1} {system.key}: {shown} ({trial.count} jobs, {marks.lost(trial.count)} lost)")

    def _trial(self, measure: Measure, system: System, stores: Stores) -> Trial:
        return Trial(system, stores[system.store], measure.name, self._choices)

    def _count(self, measure: Measure, system: System, stores: Stores) -> int:
        """Return how many jobs a trial takes; a first, small one, which does not count, tells how fast they go."""
        if not measure.sized:
            return self._jobs
        key = measure.name, system.key
        if key not in self._counts:
            tryout = min(TRYOUT, self._jobs)
            rate = measure.run(self._trial(measure, system, stores), tryout)["rate"][0]
            self._counts[key] = min(self._jobs, max(FEWEST, int(rate * TRIAL_SECONDS)))
        return self._counts[key]


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    names = list(dict.fromkeys(system.name for system in systems.ALL))
    keys = [system.key for system in systems.ALL]
    known = {measure.name: measure for measure in measures.ALL}
    kinds = list(dict.fromkeys(system.store for system in systems.ALL))
    add = parser.add_argument
    add(
        "--systems",
        type=names_among([*names, *keys]),
        default=names,
        help=f"Only these, with a comma between: {', '.join(names)}; huey/sqlite: only on that store.",
    )
    add("--stores", type=names_among(kinds), default=kinds, help=f"Only on these: {', '.join(kinds)}.")
    add("--measures", type=names_among(known), help=f"Only these: {', '.join(known)}.")
    add("--long", action="store_true", help="Also the measures that take minutes: growth, short-backlog, backlog.")
    add("--jobs", type=int, help=f"At most so many jobs per trial ({JOBS}).")
    add("--rounds", type=int, help=f"So many rounds ({ROUNDS}).")
    add("--minutes", type=float, help=f"Begin no trial after so many minutes ({MINUTES:.0f}).")
    add("--quick", action="store_true", help="One small round, in less than three minutes: does everything work?")
    add(
        "--log",
        default="lines",
        choices=["lines", "off", "both"],
        help="Systems on Django with the log lines that a new project gets, without those about jobs that end well, "
        "or one after the other (lines).",
    )
    add("--synchronous", default="NORMAL", choices=["NORMAL", "FULL"], help="SQLite: FULL waits for the disk (NORMAL).")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    options.jobs = options.jobs or (QUICK_JOBS if options.quick else JOBS)
    options.minutes = options.minutes or (QUICK_MINUTES if options.quick else MINUTES)
    options.systems = _with_log(_chosen_systems(options.systems, options.stores), options.log)
    options.measures = [
        known[name] for name in options.measures or [m.name for m in measures.ALL if options.long or not m.is_long]
    ]
    return options


def _chosen_systems(names: Sequence[str], stores: Sequence[str]) -> list[System]:
    return [s for s in systems.ALL if (s.name in names or s.key in names) and s.store in stores]


def _with_log(chosen: list[System], log: str) -> list[System]:
    silent = [system.silent() for system in chosen]
    if log == "both":
        return list({system.key: system for pair in zip(chosen, silent, strict=True) for system in pair}.values())
    return silent if log == "off" else chosen
