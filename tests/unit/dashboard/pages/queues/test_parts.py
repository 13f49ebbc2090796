"""What the page of queues says of each."""

from __future__ import annotations

import pytest

from django_loco.dashboard.charts.activity import RANGES
from django_loco.dashboard.charts.breakdown import Sums
from django_loco.dashboard.pages.queues.facts import QueuesRead, QueueSums
from django_loco.dashboard.pages.queues.parts import parts_of
from django_loco.jobs import Count, QueueStats
from django_loco.jobs.page_parts.scope import ShownQueues

KEY = ("default", "emails")
HOUR = RANGES["1h"]


def row(**given):
    numbers = {name: Count(0, is_capped=False) for name in ("ready", "running", "failed", "done")}
    stats = QueueStats(backend=KEY[0], queue=KEY[1], oldest_due_age=None, is_paused=False, **numbers)
    fields = {"shown": ShownQueues([stats], frozenset(), 0), "unserved": frozenset()}
    fields["sums"] = QueueSums(by_queue={}, tasks={}, rates={})
    [found] = parts_of(QueuesRead(**fields | given), HOUR, may_pause=True)["list"]["rows"]
    return found


def test_a_queue_without_statistics_has_an_empty_chart():
    found = row()
    assert (found["ended"], found["wait"], found["run"], found["oldest"]) == ("0", "-", "-", "-")
    assert 'd=""' in found["chart"]
    assert found["rates"].enqueued_per_minute == 0.0


@pytest.mark.parametrize(("keys", "is_unserved"), [({KEY}, True), ({("other", "emails")}, False)])
def test_it_is_said_that_no_worker_takes_its_jobs(keys, is_unserved):
    assert row(unserved=frozenset(keys))["is_unserved"] is is_unserved


def test_its_tasks_have_their_names_and_numbers():
    sums = Sums(HOUR.bars, succeeded=1_000, failed=234)
    [task] = row(sums=QueueSums(by_queue={KEY: sums}, tasks={KEY: [("shop.tasks.pay", sums)]}, rates={}))["tasks"]
    assert (task["name"], task["path"], task["runs"], task["failed"]) == ("pay", "shop.tasks.pay", "1,234", "234")
