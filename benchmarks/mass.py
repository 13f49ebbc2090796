"""What operations on many stored jobs cost: ``python -m benchmarks.mass [--help]``."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tests.acceptance.matrix import migrated
from tests.acceptance.ticks_sites import STORES, Sites, TickSite
from tests.processes import ROOT

from .arguments import names_among

CHILD = Path(__file__).parent / "projects" / "mass_operations.py"
COLUMNS = ("store", "operation", "jobs/s", "CPU of the client, µs per job", "CPU of the server, µs per job")
FIGURES = ("rate", "client", "server")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="loco-mass-") as folder:
        database = migrated(Path(folder) / "migrated")
        with Sites(Path(folder), database) as sites:
            print(f"{options.jobs:,} jobs\n\n| {' | '.join(COLUMNS)} |\n|---|---|--:|--:|--:|", flush=True)
            for store in options.stores:
                with sites.make(store) as site:
                    measure(store, site, options)


def measure(store: str, site: TickSite, options: argparse.Namespace) -> None:
    """Print a line of the table for each operation: the medians over the rounds."""
    command = [sys.executable, str(CHILD), str(options.jobs), str(options.rounds)]
    environment = site.environment | {"PYTHONPATH": str(ROOT)}
    told: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            sample = json.loads(line)
            told[sample.pop("operation")].append(sample)
    if process.returncode:
        sys.exit(f"{store}: the measurement has failed.")
    for operation, samples in told.items():
        figures = (f"{statistics.median(sample[name] for sample in samples):,.0f}" for name in FIGURES)
        print(f"| {' | '.join((store, operation, *figures))} |", flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mass", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000, metavar="N", help="the number of jobs of each operation")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each operation is measured")
    parser.add_argument("--stores", type=names_among(STORES), default=list(STORES), metavar="A,B")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
