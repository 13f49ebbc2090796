"""The public names of what belongs together."""

from __future__ import annotations

import pytest

from django_loco import tasks, workflows


@pytest.mark.parametrize("name", workflows.__all__)
def test_names_are_those_of_tasks(name):
    assert getattr(workflows, name) is getattr(tasks, name)
