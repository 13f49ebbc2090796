"""What unique jobs, limits, batches and chains cost: ``python -m benchmarks.control [--help]``.

Each measure is a process of its own, with a worker in it, on an empty store. What is compared is measured by turns in
that process, so that noise of the machine meets both alike.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.matrix import migrated
from tests.acceptance.ticks_sites import STORES, Sites, TickSite
from tests.processes import ROOT

from .arguments import names_among

CHILD = Path(__file__).parent / "projects" / "control_jobs.py"
SETTINGS = {
    "TESTING": "live",
    "LIMITS": {"free": {"concurrency": 1000}, "tenant": {"concurrency": 1}},
}
Figures = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is measured with how many jobs, and the sentence that says what was found."""

    name: str
    title: str
    jobs: int
    aim: str
    found: Callable[[Figures], str]


MEASURES = (
    Measure(
        name="unique",
        title="`enqueue` of a unique job",
        jobs=2_000,
        aim=">= 80 % of the plain rate",
        found=lambda of: f"{of['unique']:,.0f}/s, {of['unique'] / of['plain']:.0%} of {of['plain']:,.0f}",
    ),
    Measure(
        name="limits",
        title="a limit that never makes a job wait",
        jobs=5_000,
        aim=">= 90 % of the plain rate",
        found=lambda of: f"{of['limited']:,.0f}/s, {of['limited'] / of['plain']:.0%} of {of['plain']:,.0f}",
    ),
    Measure(
        name="keys",
        title="keys of a limit, 20 jobs each, one at a time",
        jobs=1_000,
        aim="Jain's index >= 0.95",
        found=lambda of: f"{of['rate']:,.0f}/s, Jain's index {of['jain']:.3f}",
    ),
    Measure(
        name="batch",
        title="members of a batch; what follows them",
        jobs=100_000,
        aim="begins within 50 ms",
        found=lambda of: (
            f"begins after {of['closed']:.0f} ms; {of['enqueue']:,.0f}/s enqueued, {of['rate']:,.0f}/s run"
        ),
    ),
    Measure(
        name="chain",
        title="nodes of a chain: from one to the next, p50",
        jobs=100,
        aim="<= twice a job's way from `enqueue`",
        found=lambda of: f"{of['step']:.1f} ms, {of['step'] / of['job']:.1f} times {of['job']:.1f} ms",
    ),
)


def figures(measure: Measure, jobs: int, site: TickSite) -> Figures:
    """Take ``measure`` in a process of ``site``."""
    site.settings["LOCO"] = SETTINGS
    done = subprocess.run(
        [sys.executable, str(CHILD), measure.name, str(jobs)],
        env=site.environment | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="loco-control-") as folder:
        database = migrated(Path(folder) / "migrated")
        with Sites(Path(folder), database) as sites:
            print(
                f"| jobs | of what | {' | '.join(options.stores)} | aim |\n|--:|---|{'---|' * len(options.stores)}---|"
            )
            for measure in (measure for measure in MEASURES if measure.name in options.measures):
                jobs = options.jobs or measure.jobs
                told = []
                for store in options.stores:
                    with sites.make(store) as site:
                        told.append(measure.found(figures(measure, jobs, site)))
                print(f"| {jobs:,} | {measure.title} | {' | '.join(told)} | {measure.aim} |", flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    names = [measure.name for measure in MEASURES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.control", description=__doc__)
    parser.add_argument("--measures", type=names_among(names), default=names, metavar="A,B", help=", ".join(names))
    parser.add_argument("--stores", type=names_among(STORES), default=list(STORES), metavar="A,B")
    parser.add_argument("--jobs", type=int, metavar="N", help="how many jobs, in place of each measure's own number")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
