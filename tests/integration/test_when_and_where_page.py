"""``docs/how-to/when-and-where.md``: its tasks are enqueued as each example says, and workers take them as it says."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync

from django_loco import jobs
from django_loco.queues import Claim, queue_for
from django_loco.testing import drain

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = (Path(__file__).parents[2] / "docs/how-to/when-and-where.md").read_text()
FILES: dict[str, str] = dict(re.findall(r'^```python title="(.*?)"\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture(autouse=True)
def _shop(tmp_path, monkeypatch, settings):
    """The page's project: its tasks, and its queues."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/__init__.py").touch()
    (tmp_path / "shop/tasks.py").write_text(FILES["shop/tasks.py"])
    monkeypatch.syspath_prepend(tmp_path)
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "shop"]
    (assignment,) = ast.parse(FILES["mysite/settings.py"]).body
    assert isinstance(assignment, ast.Assign)
    queues = ast.literal_eval(assignment.value)["default"]["QUEUES"]
    settings.TASKS = {"default": settings.TASKS["default"] | {"QUEUES": queues, "OPTIONS": {"queue": "database"}}}
    settings.LOCO = {**settings.LOCO, "TESTING": "manual"}
    yield
    for name in ("shop.tasks", "shop"):
        sys.modules.pop(name, None)


def run_example(heading: str) -> dict[str, object]:
    """Run the example of a section."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102 - it is our own page
    return names


def taken(**claim) -> list[int]:
    """Return the arguments of the jobs that a worker takes, in its order."""
    found = queue_for("default").fetch(Claim(worker_id="w", lease=60, threads=10, coroutines=10, **claim))
    return [int(re.findall(r"\d+", str(job.arguments))[0]) for job in found]


def test_a_job_runs_later():
    run_example("Later")
    assert jobs.filter(status="scheduled").count() == 2
    assert taken() == []


def test_a_job_runs_before_others():
    run_example("Before others")
    assert taken() == [9, 8, 7]


def test_a_queue_has_workers_of_its_own():
    run_example("In a queue of its own")
    assert taken(queues=("default",)) == []
    assert sorted(taken(queues=("emails",))) == [7, 8]


def test_tags_choose_workers():
    run_example("On workers that can")
    assert taken(tags=()) == []
    assert sorted(taken(tags=("gpu",))) == [7, 8]


def test_a_job_runs_on_the_event_loop():
    view = run_example("On the event loop")["order_view"]
    job = jobs.get(async_to_sync(view)(None, 7))
    assert drain() == {"successful": 1}
    assert jobs.get(job).status == "SUCCESSFUL"
