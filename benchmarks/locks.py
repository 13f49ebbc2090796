"""What a lock costs: ``python -m benchmarks.locks [--help]``.

One process takes a lock that nobody else wants and gives it back. Two processes hold a lock in turns. A crowd of
processes wants one lock all the time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.acceptance.matrix import migrated
from tests.acceptance.ticks_sites import STORES, Sites, TickSite
from tests.children import end_on_signals, started
from tests.processes import ROOT

from .arguments import names_among

CHILD = Path(__file__).parent / "projects" / "lock_holders.py"
COLUMNS = ("store", "alone, ms", "p99", "to another process, ms", "p99", "crowd, grants/s")
#: Seconds for which each of two processes has the lock in turn.
TURN_SECONDS = 0.1


class Block(NamedTuple):
    """A block under a lock: four times, in seconds since 1970."""

    waits: float
    begins: float
    ended: float
    returned: float


def run(site: TickSite, count: int, seconds: float, held: float) -> list[list[Block]]:
    """Let ``count`` processes take one lock for ``seconds``; return the blocks of each."""
    command = [sys.executable, str(CHILD), str(seconds), str(held)]
    environment = site.environment | {"PYTHONPATH": str(ROOT)}
    with ExitStack() as stack:
        holders = [
            stack.enter_context(
                started(command, env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(count)
        ]
        for process in holders:
            if process.stdout:
                process.stdout.readline()
        for process in holders:
            if process.stdin:
                process.stdin.write("go\n")
                process.stdin.flush()
        told = [process.stdout.readline() for process in holders if process.stdout]
        return [[Block(*each) for each in json.loads(text)] for text in told]


def line(store: str, site: TickSite, options: argparse.Namespace) -> str:
    """Return a line of the table."""
    [alone] = run(site, 1, options.seconds, 0.0)
    costs = [each.begins - each.waits + each.returned - each.ended for each in alone]
    turns = sorted(block for blocks in run(site, 2, options.seconds, TURN_SECONDS) for block in blocks[1:])
    turns.sort(key=lambda block: block.begins)
    gaps = [after.begins - before.ended for before, after in itertools.pairwise(turns) if after.waits < before.ended]
    crowd = run(site, options.crowd, options.seconds, 0.0)
    rate = sum(map(len, crowd)) / options.seconds
    figures = [*map(_milliseconds, (*_percentiles(costs), *_percentiles(gaps))), f"{rate:,.0f}"]
    return f"| {' | '.join([store, *figures])} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parse(arguments)
    end_on_signals()
    with tempfile.TemporaryDirectory(prefix="loco-locks-") as folder:
        database = migrated(Path(folder) / "migrated")
        with Sites(Path(folder), database) as sites:
            print(f"| {' | '.join(COLUMNS)} |\n|---|{'--:|' * (len(COLUMNS) - 1)}")
            for store in options.stores:
                with sites.make(store) as site:
                    print(line(store, site, options), flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.locks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, metavar="N", help="how long each measurement takes")
    parser.add_argument("--crowd", type=int, default=8, metavar="N", help="how many processes want one lock")
    parser.add_argument("--stores", type=names_among(STORES), default=list(STORES), metavar="A,B")
    return parser.parse_args(arguments)


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    return statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.2g}" if seconds < 0.01 else f"{1000 * seconds:.0f}"


if __name__ == "__main__":
    main()
