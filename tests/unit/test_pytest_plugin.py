"""The plugin for pytest. Its fixtures are tested in a project: ``tests/acceptance/test_testing.py``."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from tests.processes import ROOT

LOADED = """
import sys
import django_loco.pytest_plugin
print([name for name in sys.modules if name.partition(".")[0] in ("django", "django_tasks", "asgiref", "redis")])
"""


@pytest.mark.slow
def test_it_imports_nothing_of_django():
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pytest_finds_it_in_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"loco": "django_loco.pytest_plugin"}
