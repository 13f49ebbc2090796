"""Habits of other job systems with parts of workflows, workflows and batches."""

from __future__ import annotations

import pytest

from django_loco.core.compat import InvalidTask
from django_loco.jobs.operations.attribute_hints import _ATTRIBUTES
from django_loco.tasks import Workflow, batch, chain, enqueue_many, group
from tests.app.tasks import add

HINTED = {
    "signature": [add.s(1, 2)],
    "parts": [chain(add.s(1, 2)), group(add.s(1, 2))],
    "workflow": [Workflow()],
    "batch": [batch()],
}


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, names in _ATTRIBUTES.items() if kind in HINTED for name in [*names, "anything"]],
)
def test_attributes_of_workflows_of_other_systems_have_hints(kind, name):
    hint = "" if name == "anything" else r" Write .+\."
    for each in HINTED[kind]:
        assert not hasattr(each, name)
        with pytest.raises(AttributeError, match=rf"^{type(each).__name__} has no attribute '{name}'\.{hint}$"):
            getattr(each, name)


def test_parts_are_not_joined_or_called():
    for part in (add.s(1, 2), group(add.s(1, 2))):
        with pytest.raises(TypeError, match=r"Write chain\(first, second\)"):
            _ = part | add.s(3)
        with pytest.raises(TypeError, match=r"add\.s\(1, 2\)\)? cannot be called\. Write chain"):
            part()


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        (add.s(1, 2), "is a signature and no task: give the task, and its arguments by themselves"),
        (add.enqueue, r"tests\.app\.tasks\.add\.enqueue is a method of a task: give tests\.app\.tasks\.add itself"),
        (add.func, "is no task: decorate the function with @task"),
        (None, "None is no task"),
    ],
)
def test_what_is_no_task_is_answered(given, remedy):
    calls = [
        lambda: enqueue_many(given, [(1, 2)]),
        lambda: batch().enqueue(given, 1, 2),
        lambda: batch().enqueue_many(given, [(1, 2)]),
    ]
    if given is not None:
        calls.append(lambda: batch(on_finish=given))
    for call in calls:
        with pytest.raises(InvalidTask, match=remedy):
            call()
