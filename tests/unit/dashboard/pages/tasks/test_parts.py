"""What the page of tasks says of each."""

from __future__ import annotations

import pytest

from django_loco.dashboard.activity import RANGES
from django_loco.dashboard.breakdown import Sums
from django_loco.dashboard.pages.tasks.facts import ORDERS, TasksRead
from django_loco.dashboard.pages.tasks.parts import parts_of

HOUR = RANGES["1h"]


def row(path="shop.tasks.pay", **given):
    read = TasksRead(tasks=[(path, Sums(HOUR.bars, **given))], more=0)
    [found] = parts_of(read, HOUR, "runs")["list"]["rows"]
    return found


@pytest.mark.parametrize(
    ("succeeded", "failed", "text"),
    [(0, 0, "-"), (9, 0, "0 %"), (1, 1, "50 %"), (2, 1, "33.3 %"), (99_999, 1, "< 0.1 %"), (0, 3, "100 %")],
)
def test_a_rate_that_is_not_nothing_does_not_look_like_it(succeeded, failed, text):
    assert row(succeeded=succeeded, failed=failed)["rate"] == text


def test_a_task_has_its_name_and_its_module():
    found = row(succeeded=5_000)
    assert (found["name"], found["module"], found["ended"], found["failed"]) == ("pay", "shop.tasks", "5,000", "")
    assert row("lonely\n")["module"] == ""


def test_each_order_has_a_value_for_tasks_without_runs():
    assert {order(Sums(HOUR.bars)) for order in ORDERS.values()} == {0.0}
