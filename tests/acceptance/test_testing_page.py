"""Each example of the pages about tests runs in a new project."""

from __future__ import annotations

import re
import sys

import pytest

from tests.conftest import ON_POSTGRES
from tests.processes import ROOT

from .test_testing import PLUGIN, Developer, database
from .tested_project import FILES

PAGE = "".join((ROOT / f"docs/how-to/{name}.md").read_text() for name in ("testing", "testing-modes", "queues"))
EXAMPLES: list[tuple[str, str]] = re.findall(r'^```python title="(.*?)"\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL)
#: What the pages take for granted.
PROJECT = {
    "shop/migrations/0001_initial.py": FILES["shop/migrations/0001_initial.py"]
    .replace('("name", models.TextField(unique=True))', '("email", models.TextField())')
    .replace('"Item"', '"Order"'),
    "pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE = site_settings\npython_files = test*.py\nfilterwarnings = error\n",
}
#: Tests of pytest, and those that need a database that threads can share.
OF_PYTEST = ("shop/test_with_pytest.py", "shop/test_queue.py")


@pytest.fixture(params=["memory", "database"])
def developer(request, tmp_path):
    """Somebody who has copied all examples."""
    mode = "BackgroundQueue" if request.param == "database" else "BackgroundAsync"
    return Developer(tmp_path, {"WORKER_MODE": mode, "IN_FILE": not ON_POSTGRES, **database(request)}, files=files())


def files() -> dict[str, str]:
    kept = {
        name: FILES[name]
        for name in ("manage.py", "site_settings.py", "shop/__init__.py", "shop/migrations/__init__.py")
    }
    return kept | PROJECT | {name: text for name, text in EXAMPLES if name.startswith("shop/")}


@pytest.mark.own_database
def test_every_example_says_where_it_belongs():
    assert PAGE.count("```python") == len(EXAMPLES)
    assert {name for name, _ in EXAMPLES if not name.startswith("shop/")} == {"settings.py"}
    assert set(OF_PYTEST) < {name for name, _ in EXAMPLES}


def test_the_examples_run(developer):
    output = developer.run(sys.executable, "manage.py", "test", "--no-color")
    cases = sum(
        text.count("    def test_") + text.count("async def test_") for name, text in EXAMPLES if name not in OF_PYTEST
    )
    assert f"Ran {cases} tests" in output


@pytest.mark.own_database
@pytest.mark.extra("memory")
def test_they_run_in_pytest(developer):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *PLUGIN]
    count = sum(text.count("def test_") for name, text in EXAMPLES)
    output = developer.run(*command, "--deselect", "shop/test_queue.py")
    assert f"{count} passed" in output
    assert " passed" in developer.run(*command, "shop/test_queue.py")


FAILING = """
from datetime import timedelta
from django.test import TestCase
from django_loco.testing import assert_enqueued
from shop.tasks import ask_for_a_review, send_confirmation

class Failing(TestCase):
    def test_it(self):
        send_confirmation.enqueue(1, language="de")
        ask_for_a_review.using(run_after=timedelta(days=7)).enqueue(1)
        with self.assertRaises(AssertionError) as caught:
            assert_enqueued(send_confirmation, args=[1])
        print(f"AssertionError: {caught.exception}")
"""


@pytest.mark.own_database
@pytest.mark.extra("memory")
def test_the_failure_reads_as_shown(developer):
    shown = PAGE.partition("```text\n")[2].partition("```")[0].strip()
    (developer.folder / "shop/test_failing.py").write_text(FAILING)
    assert shown in developer.run(sys.executable, "manage.py", "test", "--no-color", "shop.test_failing")
