"""Conditions that a filter can be completed to."""

from __future__ import annotations

import pytest

from django_loco import jobs
from django_loco.dashboard.pages.jobs import completion
from django_loco.jobs.language import filter_of
from django_loco.jobs.page_parts.scope import EVERYTHING

ZERO = jobs.Count(0)


def stats(name, ready):
    return jobs.QueueStats(
        backend="default",
        queue=name,
        ready=jobs.Count(ready),
        running=ZERO,
        failed=ZERO,
        done=ZERO,
        oldest_due_age=None,
        is_paused=False,
    )


@pytest.fixture
def complete(monkeypatch):
    monkeypatch.setattr(completion, "_tasks_of", lambda _aliases, _scope: ["shop.pay"])
    completion.forget()
    yield lambda stats: completion.conditions(stats, EVERYTHING)
    completion.forget()


def test_whole_conditions_are_filters(complete):
    found = complete([stats("e mails", 1)])
    for condition in ('queue:"e mails"', "status:retrying", "task:shop.pay", "older:7d"):
        assert condition in found
        filter_of(condition, {})
    assert {"tag:", "args.", "priority:"} <= set(found)


def test_of_many_queues_those_with_the_most_jobs_are_offered(complete):
    found = complete([stats(f"q{number}", number) for number in range(completion.MOST + 1)])
    assert f"queue:q{completion.MOST}" in found
    assert "queue:q0" not in found


def test_names_that_cannot_be_typed_are_left_out(complete):
    assert not [
        each
        for each in complete([stats("x" * 500, 1), stats("a\x00", 1)])
        if each.startswith("queue:") and each != "queue:"
    ]
