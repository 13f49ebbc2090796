"""Ticks of schedulers that are killed, in numbers: ``python -m tests.acceptance.ticks [--seconds N] [--stores A,B]``.

Each line of the table is a run with real processes and a schedule of one second; see ``ticks_trials``. The exit code
is 1 if a tick is missing or was fired twice.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.processes import free_port

from .matrix import migrated
from .ticks_sites import STORES, Sites
from .ticks_trials import Served, Stopped, Toll, Trial

#: How many schedulers share a store.
CROWDS = (2, 5)


def main(arguments: Sequence[str]) -> int:
    """Run what is chosen and show it; return 1 if something is wrong."""
    options = parse(arguments)
    free_port()  # before there are threads that want one
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loco-ticks-")))
        sites = stack.enter_context(Sites(folder, migrated(folder / "migrated")))
        pool = stack.enter_context(ThreadPoolExecutor(options.at_once))
        tolls = list(pool.map(lambda trial: trial.run(options.seconds, options.every), chosen(options.stores, sites)))
    print("\n".join([Toll.head(), *(toll.row() for toll in tolls)]))
    return int(any(toll.wrong for toll in tolls))


def chosen(stores: Sequence[str], sites: Sites) -> list[Trial]:
    """Return the trials of these stores."""
    durable = [store for store in STORES if store in stores]
    trials: list[Trial] = [Trial(store, partial(sites.make, store), crowd) for crowd in CROWDS for store in durable]
    if "memory" in stores:
        trials.append(Served("memory, four processes of gunicorn", sites.served, 4))
    if "sqlite" in stores:
        trials.append(Stopped("SQLite, suspended for 20 s", partial(sites.make, "sqlite"), 1))
    return trials


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.ticks", description=__doc__)
    known = [*STORES, "memory"]
    parser.add_argument("--stores", type=lambda text: text.split(","), default=known, help=f"of {', '.join(known)}")
    parser.add_argument("--seconds", type=float, default=60, help="how long each run takes")
    parser.add_argument("--every", type=float, default=10, help="seconds from one kill to the next")
    parser.add_argument("--at-once", type=int, default=4, metavar="N", help="how many runs go on side by side")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
