"""Unit tests lie where their modules lie: a test of ``worker/pools/threads.py`` is in ``worker/pools/test_threads.py``.

A module with many tests has several files: ``test_threads_that_die.py`` beside ``test_threads.py``.
"""

from __future__ import annotations

import re
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import django_loco

PACKAGE = Path(django_loco.__file__).parent
TESTS = Path(__file__).parent
#: Tests of no single module, and why.
OF_THE_WHOLE = {
    "test_architecture.py": "the figure of all packages in the documentation",
    "test_catalogues.py": "the translations of the whole package",
    "test_layers.py": "imports and dotted names of every module",
    "test_mirror.py": "the tests themselves",
    "test_moved_modules.py": "paths that modules had, or that people expect",
}
FILES = sorted(TESTS.rglob("test_*.py"))


def modules_of(test: Path) -> list[Path]:
    """Return the modules and packages that ``test`` may be about: for each way to cut an aspect from its name."""
    folder = PACKAGE / test.relative_to(TESTS).parent
    words = test.stem.split("_")[1:]
    names = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
    return [folder / form for name in names for form in (f"{name}.py", f"{name}/__init__.py")]


def test_tests_lie_where_their_modules_lie():
    lost = {
        str(test.relative_to(TESTS)): str(modules_of(test)[0].relative_to(PACKAGE.parent))
        for test in FILES
        if str(test.relative_to(TESTS)) not in OF_THE_WHOLE and not any(map(Path.exists, modules_of(test)))
    }
    assert lost == {}, "there are no such modules"


def test_the_list_of_exceptions_names_tests_that_there_are():
    assert set(OF_THE_WHOLE) <= {str(test.relative_to(TESTS)) for test in FILES}


def test_no_test_hides_another_one_of_its_name():
    for test in TESTS.parent.rglob("test_*.py"):
        names = Counter(re.findall(r"^(?:async )?def (\w+)\(", test.read_text(), re.MULTILINE))
        assert [name for name, count in names.items() if count > 1] == [], test


def test_no_module_of_the_package_is_collected_as_a_test():
    """pytest collects the first two patterns and Django the last, also in a clone within a project."""
    collected = [
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if any(fnmatch(file.name, pattern) for pattern in ("test_*.py", "*_test.py", "test*.py"))
    ]
    assert collected == []
