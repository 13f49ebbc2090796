"""``docs/explanation/architecture.md`` and ``threads.md`` show the imports, files and threads that there are."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import django_loco

PACKAGE = Path(django_loco.__file__).parent
NAME = "docs/explanation/architecture.md"
PAGE = (PACKAGE.parent / NAME).read_text()
THREADS = (PACKAGE.parent / "docs/explanation/threads.md").read_text()

Edges = set[tuple[str, str]]


def drawn(page: str) -> tuple[Edges, dict[str, str]]:
    """Return the arrows of the first figure in ``page``, and for each part in a box with several the box's name."""
    figure = page.partition("```mermaid\n")[2].partition("```")[0]
    boxes = {part: name for name, label in re.findall(r'(\w+)\["(.+?)"\]', figure) for part in re.split(r",\s*", label)}
    return set(re.findall(r"(\w+) --> (\w+)", figure)), boxes


def imported(file: Path) -> Iterator[str]:
    """Yield the parts of the package that ``file`` imports from, at whatever depth of it."""
    package = ("django_loco", *file.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*(package[: len(package) - node.level + 1] if node.level else ()), *(node.module or "").split(".")]
            names = [[*filter(None, base), alias.name] for alias in node.names]
        else:
            continue
        yield from (name[1] for name in names if name[0] == "django_loco" and len(name) > 1)


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@functools.cache
def real() -> Edges:
    """Return which part imports from which other one, or itself."""
    parts = {part_of(file) for file in PACKAGE.rglob("*.py")} - {"__init__"}
    found = {(part_of(file), name) for file in PACKAGE.rglob("*.py") for name in imported(file)}
    return {edge for edge in found if parts.issuperset(edge)}


def boxed(edges: Edges, boxes: dict[str, str]) -> Edges:
    """Return the arrows between the boxes in which the parts are."""
    within = {(boxes.get(a, a), boxes.get(b, b)) for a, b in edges}
    return {(a, b) for a, b in within if a != b}


def paths(edges: Edges) -> Edges:
    """Return the pairs of which the second can be reached from the first."""
    while further := {(a, d) for a, b in edges for c, d in edges if b == c} - edges:
        edges = edges | further
    return edges


@pytest.mark.slow
def test_each_arrow_is_an_import():
    arrows, boxes = drawn(PAGE)
    assert sorted(arrows - boxed(real(), boxes)) == [], f"take these arrows out of the figure in {NAME}"


@pytest.mark.slow
def test_each_import_is_an_arrow_or_a_path_of_arrows():
    arrows, boxes = drawn(PAGE)
    assert sorted(boxed(real(), boxes) - paths(arrows)) == [], f"draw these arrows in the figure in {NAME}"


def test_no_arrow_leads_back():
    arrows, _ = drawn(PAGE)
    assert [arrow for arrow in paths(arrows) if arrow[0] == arrow[1]] == []


def test_the_files_and_folders_that_are_named_exist():
    named = set(re.findall(r"`([\w/]+(?:/|\.py|\.lua|\.js))`", PAGE)) - {"django_loco/"}
    assert len(named) > 50
    assert sorted(name for name in named if not (PACKAGE / name).exists()) == [], NAME


def test_the_road_of_a_job_is_short():
    """A reader who follows a job opens this many files; each further one costs."""
    table = PAGE.partition("## The path of a job\n")[2].partition("`queues/base.py`")[0]
    files = re.findall(r"`([\w/]+\.py)`", table)
    assert 10 < len(files) == len(set(files)) <= 15


def test_each_part_is_in_the_list_of_folders():
    listed = PAGE.partition("## Folders\n")[2].partition("\n## ")[0]
    parts = {part_of(file) for file in PACKAGE.rglob("*.py")} - {"__init__"}
    assert sorted(part for part in parts if f"`{part}/`" not in listed and f"`{part}.py`" not in listed) == []


def test_the_threads_that_are_named_exist():
    source = "".join(file.read_text() for file in PACKAGE.rglob("*.py"))
    names = set(re.findall(r"`(loco-[a-z-]*[a-z])", THREADS))
    assert len(names) > 20
    # Some names are a prefix of the base class, and a word of the class itself.
    assert sorted(name for name in names if name not in source and f'"{name.rpartition("-")[2]}"' not in source) == []


def test_a_figure_is_read():
    arrows, boxes = drawn('```mermaid\nflowchart TD\n    a --> b\n    b --> low\n    low["c, d"]\n```\n')
    assert arrows == {("a", "b"), ("b", "low")}
    assert boxes == {"c": "low", "d": "low"}
    assert paths(arrows) == {("a", "b"), ("b", "low"), ("a", "low")}
