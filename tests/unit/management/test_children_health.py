"""The health of the processes of ``--processes``."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from django_loco.management.children_health import ChildrenHealth
from django_loco.process.health import report


class Child:
    """As much of a child process as matters here."""

    pid = 4712

    def __init__(self, *, is_ready: bool, began: float = 0.0, received_at: float = 0.0) -> None:
        self.is_ready, self.began, self.received_at = is_ready, began, received_at


@pytest.mark.parametrize(
    ("child", "deaths", "state", "verdict"),
    [
        (Child(is_ready=True, received_at=99.0), 0, "running", "ok"),
        (Child(is_ready=True, received_at=80.0), 0, "running", "failing"),
        (Child(is_ready=False, began=90.0), 0, "starting", "ok"),
        (Child(is_ready=False, began=0.0), 0, "starting", "failing"),
        (None, 1, "starting", "ok"),
        (None, 3, "failed", "failing"),
    ],
)
def test_what_a_parent_says_of_its_processes(child, deaths, state, verdict):
    slot = SimpleNamespace(number=2, present=child, deaths=deaths)
    several = ChildrenHealth(SimpleNamespace(slots=[slot]), lambda: 100.0)  # type: ignore[arg-type]
    part = several.health()["components"]["process 2"]
    assert (part["state"], report.verdict(part)) == (state, verdict)
