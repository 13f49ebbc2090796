"""Compares the speed of two commits of django-loco: ``python -m benchmarks.guard [--help]``.

Both are installed in environments of their own and measured by turns, so that noise of the machine meets both alike.
It ends with exit code 1 if a median of the newer one is below ``--least`` times that of the older one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from statistics import median

from . import measures
from .arguments import names_among
from .environments import FOLDER, Environment
from .stores import Stores
from .systems import System
from .systems.loco import ROOT, SYSTEMS
from .trial import Choices, Trial

MEASURES = {"sync": measures.sync, "enqueue": measures.enqueue, "latency": measures.latency}
STORES = [system.store for system in SYSTEMS]
#: The figure of each measure; of ``ms`` less is better.
FIGURES = {"sync": "rate", "enqueue": "rate", "latency": "ms"}


def commit_of(revision: str) -> str:
    """Return the short hash of a commit."""
    return _git("rev-parse", "--short", f"{revision}^{{commit}}").decode().strip()


def system_at(commit: str, store: str) -> System:
    """Return django-loco as it was at ``commit``, on ``store``."""
    folder = FOLDER / "guard" / commit
    if not folder.exists():
        with tarfile.open(fileobj=BytesIO(_git("archive", "--format=tar", commit))) as archive:
            archive.extractall(folder, filter="data")
    [system] = [system for system in SYSTEMS if system.store == store]
    return replace(system, name=f"guard-{commit}", packages=(f"{folder}[postgres]", "hiredis"), source=folder)


def compare(commits: Sequence[str], store: str, name: str, options: argparse.Namespace) -> float:
    """Measure both commits by turns; return how many times as good the newer one is."""
    found: dict[str, list[float]] = defaultdict(list)
    with Stores() as stores:
        for _ in range(options.rounds):
            for commit in commits:
                system = system_at(commit, store)
                chosen = system.silent() if options.log == "off" else system
                trial = Trial(chosen, stores[store], name, Choices())
                found[commit] += MEASURES[name](trial, options.jobs)[FIGURES[name]]
    old, new = (median(found[commit]) for commit in commits)
    ratio = old / new if FIGURES[name] == "ms" else new / old
    print(f"| {store} | {name} | {old:,.1f} | {new:,.1f} | {ratio:.2f} |", flush=True)
    return ratio


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    options = parse(arguments)
    commits = [commit_of(options.base), commit_of(options.head)]
    for commit in commits:
        Environment(system_at(commit, "memory")).ensure()
    print(f"| store | measure | {commits[0]} | {commits[1]} | times as good |\n|---|---|--:|--:|--:|")
    ratios = [compare(commits, store, name, options) for store in options.stores for name in options.measures]
    return int(min(ratios) < options.least)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--base", default="HEAD~1", help="the older commit (HEAD~1)")
    parser.add_argument("--head", default="HEAD", help="the newer commit (HEAD); what is not committed is not measured")
    parser.add_argument("--least", type=float, default=0.9, metavar="RATIO", help="what is good enough (0.9)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often each is measured (5)")
    parser.add_argument("--jobs", type=int, default=5_000, metavar="N", help="jobs per trial (5,000)")
    parser.add_argument("--log", default="lines", choices=["lines", "off"], help="as in benchmarks/run.py (lines)")
    parser.add_argument(
        "--stores", type=names_among(STORES), default=["sqlite", "redis"], metavar="A,B", help="sqlite,redis"
    )
    parser.add_argument(
        "--measures", type=names_among(MEASURES), default=list(MEASURES), metavar="A,B", help=",".join(MEASURES)
    )
    return parser.parse_args(arguments)


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True).stdout


if __name__ == "__main__":
    sys.exit(main())
