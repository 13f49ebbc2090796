"""The figures as Markdown."""

from __future__ import annotations

import os
import platform
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .measures import Measure
from .systems import System

OURS = "django-loco"
TAIL = ("range", "ours", "jobs", "lost", "doubled")
STORES = ("redis", "postgres", "sqlite", "memory")


@dataclass
class Result:
    """All that was found out about one system by one measure."""

    samples: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    jobs: int = 0
    lost: int = 0
    doubled: int = 0
    failure: str = ""


@dataclass
class Report:
    """Collects results and writes them down."""

    versions: dict[str, str] = field(default_factory=dict)
    """By the system's name."""

    missing: dict[str, str] = field(default_factory=dict)
    """Systems that could not be installed, and why."""

    notes: list[str] = field(default_factory=list)
    results: dict[str, dict[str, Result]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(Result)))
    """By the names of measures and the keys of systems."""

    def render(self, measures: Iterable[Measure], systems: Sequence[System], stores: Sequence[str]) -> str:
        """Return the whole page: where it was measured, a table per measure, how each system was set up."""
        tables = [self._table(measure, systems) for measure in measures if self.results[measure.name]]
        absent = [f"- **{name}** could not be installed: {why}" for name, why in self.missing.items()]
        remarks = dict.fromkeys(f"- {system.name}: {system.remark}." for system in systems if system.remark)
        return "\n\n".join(
            part
            for part in (
                "\n".join([*_machine(), f"- {', '.join(stores)}", *(f"- {note}" for note in self.notes), *absent]),
                *tables,
                "### How they were set up\n\n" + "\n".join(remarks) if remarks else "",
            )
            if part
        )

    def _table(self, measure: Measure, systems: Sequence[System]) -> str:
        head = ["store", "system", *(column.title for column in measure.columns), *TAIL]
        measured = [system for system in systems if system.key in self.results[measure.name]]
        measured.sort(key=lambda system: STORES.index(system.store))
        lines = [self._row(measure, system) for system in measured]
        return "\n".join([f"### {measure.title}", "", _line(head), _line(["---"] * len(head)), *map(_line, lines)])

    def _row(self, measure: Measure, system: System) -> list[str]:
        result = self.results[measure.name][system.key]
        name = f"{system.name} {self.versions.get(system.name, '')}".strip() + system.note
        if result.failure and not result.samples:
            return [system.store, name, f"failed: {result.failure}", *[""] * (len(measure.columns) + 4)]
        figures = [
            f"{column.make(samples):,.{column.digits}f}" if (samples := result.samples.get(column.of)) else "-"
            for column in measure.columns
        ]
        found = [self._range(measure, result), self._ratio(measure, system)]
        return [system.store, name, *figures, *found, f"{result.jobs:,}", str(result.lost), str(result.doubled)]

    def _range(self, measure: Measure, result: Result) -> str:
        column = measure.columns[0]
        samples = result.samples.get(column.of, [])
        if len(samples) < 2:
            return ""
        return f"{min(samples):,.{column.digits}f} to {max(samples):,.{column.digits}f}"

    def _ratio(self, measure: Measure, system: System) -> str:
        """Return how many times better ours is on the same store."""
        column = measure.columns[0]
        results = self.results[measure.name]
        ours = results.get(f"{OURS}/{system.store}") or results.get(f"{OURS}/{system.store}, log off")
        theirs = results[system.key]
        if ours is None or ours is theirs or not ours.samples.get(column.of) or not theirs.samples.get(column.of):
            return ""
        mine, other = column.make(ours.samples[column.of]), column.make(theirs.samples[column.of])
        better, worse = (mine, other) if measure.more_is_better else (other, mine)
        return f"{better / worse:.1f} x" if worse > 0 else ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _machine() -> list[str]:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = f"{os.cpu_count()} x {model[1] if model else platform.machine()}"
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return [f"- {processor}, {memory:.0f} GiB, {system}"]
