"""How well a worker finds the number of threads: ``python -m benchmarks.pool [--help]``.

One worker process runs a mix of jobs from memory, with ``ACTIVE_THREADS`` fixed at several numbers and without. All
trials of a round run one after the other, so that noise of the machine meets all alike; medians are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.processes import ROOT

from .arguments import names_among

CHILD = Path(__file__).parent / "projects" / "mixes.py"
THREADS = 40
AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class Mix:
    """A mix of jobs, what it is compared with, and the aim."""

    name: str
    title: str
    jobs: int
    fixed: tuple[int, ...]
    """The fixed numbers of threads; the best of them is compared."""
    aim: str
    floor: float = 0.0
    """The seconds that it takes at least; compared instead of a fixed number, if given."""


MIXES = (
    Mix(name="empty", title="empty jobs", jobs=20_000, fixed=(1, 2, 10, 40), aim=">= 97 % of the best"),
    Mix(name="sleep", title="2,500 jobs of 50 ms", jobs=2_500, fixed=(40,), aim="<= 2 % over the floor", floor=3.15),
    Mix(name="half", title="half empty, half 50 ms", jobs=2_500, fixed=(10, 40), aim=">= 95 % of the best"),
    Mix(name="python", title="1 ms of Python", jobs=3_000, fixed=(1, 10), aim=">= 97 % of one thread"),
    Mix(name="digest", title="10 ms of hashlib", jobs=400, fixed=(1, 2, 40), aim=">= 1.8 x one thread"),
    Mix(name="query", title="0.8 ms of waiting, four times", jobs=3_000, fixed=(1, 4, 40), aim=""),
    Mix(
        name="burst", title="40 jobs of 50 ms into 10,000 empty ones", jobs=10_000, fixed=(1, 40), aim="first <= 20 ms"
    ),
)


def trial(mix: Mix, active: str) -> dict[str, float]:
    """Run ``mix`` once in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(CHILD), mix.name, active, str(THREADS), str(mix.jobs)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    if figures["failed"]:
        raise RuntimeError(f"{figures['failed']:.0f} jobs of {mix.title} failed:\n{done.stderr}")
    return figures


def line(mix: Mix, figures: dict[str, list[dict[str, float]]]) -> str:
    """Return a line of the table."""
    seconds = {active: median(one["seconds"] for one in trials) for active, trials in figures.items()}
    found = seconds.pop(AUTO)
    fixed = ", ".join(f"{active}: {each:.2f}" for active, each in seconds.items())
    if mix.name == "burst":
        first = ", ".join(
            f"{active}: {median(one['first'] for one in each):.0f} ms" for active, each in figures.items()
        )
        return f"| {mix.title} | {fixed} | {found:.2f} | first begins after {first} | {mix.aim} |"
    if mix.floor:
        compared = f"{100 * (found / mix.floor - 1):.1f} % over {mix.floor:.2f}"
    else:
        compared = (
            f"{100 * min(seconds.values()) / found:.0f} % of the best, {seconds['1'] / found:.2f} x one"
            if ("1" in seconds)
            else f"{100 * min(seconds.values()) / found:.0f} % of the best"
        )
    return f"| {mix.title} | {fixed} | {found:.2f} | {compared} | {mix.aim} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parse(arguments)
    print(f"Python {sys.version.split()[0]}, NUM_WORKERS = {THREADS}, medians of {options.rounds}\n")
    print("| mix | ACTIVE_THREADS fixed: s | found by the worker: s | compared | aim |\n|---|---|--:|---|---|")
    for mix in (mix for mix in MIXES if mix.name in options.mixes):
        figures: dict[str, list[dict[str, float]]] = defaultdict(list)
        for _ in range(options.rounds):
            for active in (*map(str, mix.fixed), AUTO):
                figures[active].append(trial(mix, active))
        print(line(mix, figures), flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    names = [mix.name for mix in MIXES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pool", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often each is measured")
    parser.add_argument("--mixes", type=names_among(names), default=names, metavar="A,B", help=", ".join(names))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
