"""Every command under everything that ends it: ``python -m tests.acceptance.matrix [--servers A,B] [--events A,B]``.

Each cell is a run with real processes, with jobs and requests in flight; see ``matrix_cells``. What it shows is a
table in Markdown. The exit code is 1 if a cell is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.processes import free_port

from .matrix_cells import Cell, Trial
from .matrix_rows import EVENTS, ROWS, Row
from .matrix_site import JOBS, REQUESTS, MatrixProject
from .project import Project

COLUMNS = ("command", "event", "lost", "ran twice", "requests cut", "order", "exit code", "seconds")
HEADER = f"| {' | '.join(COLUMNS)} |\n|---|---|--:|--:|--:|---|---|--:|"


def main(arguments: Sequence[str]) -> int:
    """Run what is chosen and show it; return 1 if something is wrong."""
    options = parse(arguments)
    chosen = [(row, event) for row in ROWS if row.name in options.servers for event in options.events]
    free_port()  # before there are threads that want one
    with tempfile.TemporaryDirectory(prefix="loco-matrix-") as folder:
        database = migrated(Path(folder) / "migrated")
        with ThreadPoolExecutor(options.at_once) as pool:
            futures = [pool.submit(run, row, event, Path(folder), database) for row, event in chosen]
            cells = [future.result() for future in futures]
    print(f"{JOBS} jobs, {REQUESTS} slow requests; (n): as it has to be there\n\n{HEADER}")
    for (row, event), cell in zip(chosen, cells, strict=True):
        print(line(row, event, cell))
    wrong = [cell for cell in cells if cell and cell.wrong]
    for cell in wrong:
        print(f"WRONG: {cell.row}, {cell.event}: {'; '.join(cell.wrong)}")
    return bool(wrong)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.matrix", description=__doc__)
    names = [row.name for row in ROWS]
    for option, known in (("--servers", names), ("--events", list(EVENTS))):
        parser.add_argument(option, type=some_of(known), default=known, metavar="A,B", help=f"of {', '.join(known)}")
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help="how many cells run side by side")
    return parser.parse_args(arguments)


class some_of:  # noqa: N801 (a type, as argparse has it)
    """Reads names of ``known`` things, with commas between them."""

    def __init__(self, known: list[str]) -> None:
        self._known = known

    def __call__(self, text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in self._known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(self._known)}")
        return names


def migrated(folder: Path) -> bytes:
    """Return a migrated database."""
    folder.mkdir()
    with Project(folder) as project:
        project.migrate()
        return (folder / "db.sqlite3").read_bytes()


def run(row: Row, event: str, folder: Path, database: bytes) -> Cell | None:
    """Run a cell; ``None`` if it makes no sense."""
    if event in row.without:
        return None
    own = Path(tempfile.mkdtemp(dir=folder))
    with MatrixProject(own, database) as project:
        trial = Trial(row, event, project)
        try:
            cell = trial.run()
        except Exception:  # noqa: BLE001 (told as what is wrong with this cell; the others go on)
            cell = broken(row, event, traceback.format_exc())
        if cell.wrong:
            tell(cell, project)
    return cell


def broken(row: Row, event: str, why: str) -> Cell:
    """Return what stands for a cell that did not come to its end."""
    return Cell(
        row=row.name, event=event, lost=-1, twice=-1, cut=-1, code=-1, seconds=0, excused=False, wrong=(why.strip(),)
    )


def tell(cell: Cell, project: MatrixProject) -> None:
    """Show what its processes said."""
    print(f"--- {cell.row}, {cell.event}: {'; '.join(cell.wrong)}", file=sys.stderr)
    for process in project.processes[1:]:
        print(process.output, "\n---", file=sys.stderr, flush=True)


def line(row: Row, event: str, cell: Cell | None) -> str:
    """Return a line of the table."""
    if cell is None:
        return f"| {row.name} | {event} | {row.without[event]} | | | | | |"
    may = "({})" if cell.excused else "{}"
    hooks = "no" if any("hooks of" in what or " after " in what for what in cell.wrong) else "yes"
    code = f"{cell.code}{' wrong' if any('exit code' in what for what in cell.wrong) else ''}"
    cut = may.format(cell.cut) if cell.cut else "0"
    twice = may.format(cell.twice) if cell.twice else "0"
    return (
        f"| {row.name} | {event} | {cell.lost} | {twice} | {cut if row.serves else ''} "
        f"| {hooks} | {code} | {cell.seconds:.1f} |"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
