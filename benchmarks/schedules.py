"""What many schedules cost: ``python -m benchmarks.schedules [--help]``.

A scheduler has ``--schedules`` of them, which are due once a day, and then so often that a hundredth is due every
second, all at full seconds. It runs alone on a store, and then as one of a crowd that shares it. There is no worker.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.matrix import migrated
from tests.acceptance.ticks_sites import STORES, Sites, TickSite
from tests.children import end_on_signals, started
from tests.processes import ROOT

from .arguments import names_among

CHILD = Path(__file__).parent / "projects" / "many_schedules.py"
COLUMNS = ("store", "due", "schedulers", "declare, s", "start, s", "CPU of a core, %", "late p50, ms", "p99", "at most")


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a scheduler has to do, and how many share the store."""

    store: str
    kind: str
    crowd: int = 1


def cases(options: argparse.Namespace) -> list[Case]:
    """Return what is measured."""
    alone = [Case(store=store, kind="busy") for store in options.stores]
    crowds = [Case(store=store, kind="busy", crowd=options.crowd) for store in options.stores]
    return [Case(store=options.stores[0], kind="idle"), *alone, *crowds]


def measure(case: Case, site: TickSite, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run the schedulers of ``case`` side by side; return what each has told."""
    command = [sys.executable, str(CHILD), case.kind, str(options.schedules), str(options.seconds)]
    environment = site.environment | {"PYTHONPATH": str(ROOT)}
    with ExitStack() as stack:
        schedulers = [
            stack.enter_context(
                started(
                    command,
                    env=environment,
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
            for _ in range(case.crowd)
        ]
        told = [json.loads(process.stdout.readline()) for process in schedulers if process.stdout]
        for process in schedulers:
            process.communicate()
        return told


def line(case: Case, told: Sequence[dict[str, Any]]) -> str:
    """Return a line of the table: the slowest to start, the CPU time of each, and the lateness of all ticks."""
    late = sorted(each for one in told for each in one["late"])
    figures = [
        f"{max(one['declare'] for one in told):.1f}",
        f"{max(one['start'] for one in told):.1f}",
        ", ".join(f"{100 * one['cpu']:.2f}" for one in told),
        *(f"{late[min(len(late) - 1, int(len(late) * part))]:.0f}" if late else "" for part in (0.5, 0.99, 1)),
    ]
    due = f"{sum(one['due'] for one in told):.0f}/s" if case.kind == "busy" else "once a day"
    return f"| {' | '.join([case.store, due, str(case.crowd), *figures])} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parse(arguments)
    end_on_signals()
    with tempfile.TemporaryDirectory(prefix="loco-schedules-") as folder:
        database = migrated(Path(folder) / "migrated")
        with Sites(Path(folder), database) as sites:
            print(
                f"{options.schedules:,} schedules\n\n| {' | '.join(COLUMNS)} |\n|---|---|{'--:|' * (len(COLUMNS) - 2)}"
            )
            for case in cases(options):
                with sites.make(case.store) as site:
                    print(line(case, measure(case, site, options)), flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedules", description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000, metavar="N", help="how many each scheduler has")
    parser.add_argument("--seconds", type=float, default=20, metavar="N", help="how long each measurement takes")
    parser.add_argument("--crowd", type=int, default=5, metavar="N", help="how many share a store")
    parser.add_argument("--stores", type=names_among(STORES), default=list(STORES), metavar="A,B")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
