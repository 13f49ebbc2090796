"""What the page of tasks says of each."""

from __future__ import annotations

import pytest

from django_loco.dashboard.charts.activity import RANGES
from django_loco.dashboard.charts.breakdown import Sums
from django_loco.dashboard.pages.tasks.facts import ORDERS, TasksRead
from django_loco.dashboard.pages.tasks.parts import parts_of
from django_loco.jobs.control.pauses import AliasPause
from django_loco.jobs.language import filter_of
from django_loco.jobs.page_parts.scope import EVERYTHING, Scope

HOUR = RANGES["1h"]


def row(path="shop.tasks.pay", **given):
    return row_of(path, EVERYTHING, may_pause=True, **given)


def row_of(path, scope, *, may_pause, paused=(), **given):
    pauses = [AliasPause(backend="default", kind=kind, name=name) for kind, name in paused]
    read = TasksRead(tasks=[(path, Sums(HOUR.bars, **given))], more=0, scope=scope, pauses=pauses)
    [found] = parts_of(read, HOUR, "runs", may_pause=may_pause)["list"]["rows"]
    return found


def test_a_task_can_be_paused_by_those_who_see_all_of_it():
    path = "shop.tasks.pay"
    mine, other = Scope(filter_of("task:shop.*", {})), Scope(filter_of("queue:acme", {}))
    for scope in (EVERYTHING, mine):
        assert row_of(path, scope, may_pause=True)["value"]
        assert not row_of(path, scope, may_pause=False)["value"]
    assert not row_of(path, other, may_pause=True)["value"]
    assert not row("(other)")["value"]
    assert not row("a." + "x" * 200)["value"]


def test_a_paused_task_says_so():
    assert row_of("a.b", EVERYTHING, may_pause=True, paused=[("task", "a.b")])["is_paused"]
    assert not row_of("a.b", EVERYTHING, may_pause=True, paused=[("tag", "a.b"), ("task", "a.c")])["is_paused"]


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
