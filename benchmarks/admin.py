"""What the pages of jobs take over a large store, in the admin and on the dashboard: ``python -m benchmarks.admin``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.acceptance.matrix import migrated
from tests.acceptance.ticks_sites import STORES, Sites, TickSite
from tests.children import end_on_signals, started
from tests.processes import ROOT

from .arguments import names_among

CHILD = Path(__file__).parent / "projects" / "admin_pages.py"
COLUMNS = ("store", "page", "first, ms", "median, ms", "best, ms", "CPU of the site, ms", "queries to the database")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parse(arguments)
    end_on_signals()
    with tempfile.TemporaryDirectory(prefix="loco-admin-") as folder:
        database = migrated(Path(folder) / "migrated")
        with Sites(Path(folder), database) as sites:
            print(
                f"{options.done:,} finished jobs and {options.waiting:,} that wait\n\n"
                f"| {' | '.join(COLUMNS)} |\n|---|---|--:|--:|--:|--:|--:|",
                flush=True,
            )
            for store in options.stores:
                with sites.make(store) as site:
                    measure(store, site, options)


def measure(store: str, site: TickSite, options: argparse.Namespace) -> None:
    """Fill the store of ``site``, and print a line of the table for each page."""
    site.migrate()  # the tables of the admin as well
    command = [sys.executable, str(CHILD), str(options.done), str(options.waiting), str(options.age)]
    environment = site.environment | {"PYTHONPATH": str(ROOT)}
    with started(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            told = json.loads(line)
            figures = (*(f"{told[name]:,.0f}" for name in ("first", "median", "best", "cpu")), str(told["queries"]))
            print(f"| {' | '.join((store, told['page'], *figures))} |", flush=True)
    if process.returncode:
        sys.exit(f"{store}: the measurement has failed.")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.admin", description=__doc__)
    parser.add_argument("--done", type=int, default=5_000_000, metavar="N", help="the number of finished jobs")
    parser.add_argument("--waiting", type=int, default=1_000_000, metavar="N", help="the number of jobs that wait")
    parser.add_argument(
        "--age",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long ago the waiting jobs were enqueued: 1e7 makes them older than all finished ones",
    )
    parser.add_argument("--stores", type=names_among(STORES), default=list(STORES), metavar="A,B")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
