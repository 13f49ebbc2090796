"""When a worker that drains has nothing left to do. With a queue, see ``test_fetcher``."""

from __future__ import annotations

import pytest

from django_loco.queues import Claim
from django_loco.queues.memory import MemoryQueue
from django_loco.worker.fetching.drain_group import DrainGroup
from django_loco.worker.fetching.draining import Draining

CLAIM = Claim(worker_id="w1", lease=30, threads=1)


class Others:
    """The other parts of the worker."""

    are_done = True


@pytest.fixture
def others() -> Others:
    return Others()


def draining(others: Others, *, is_on: bool = True, group: DrainGroup | None = None) -> Draining:
    return Draining(
        MemoryQueue("default", {}),
        is_on=is_on,
        group=group,
        others_are_done=lambda: others.are_done,
        look_again=lambda: None,
    )


def fetch(one: Draining, *, finds: bool = False, holds_jobs: bool = False) -> bool:
    one.note_fetch(CLAIM, 1.0, is_last=one.may_end(holds_jobs=holds_jobs) and not finds)
    return one.found_nothing


def test_it_is_over_when_a_fetch_finds_nothing(others):
    one = draining(others)
    assert not one.found_nothing
    assert not fetch(one, finds=True)
    assert not fetch(one, holds_jobs=True)
    assert fetch(one)
    one.note_no_fetch()
    assert not one.found_nothing


def test_not_before_it_is_on(others):
    one = draining(others, is_on=False)
    assert not fetch(one)
    one.begin()
    assert fetch(one)


def test_not_while_another_part_may_cause_jobs(others):
    one = draining(others)
    others.are_done = False
    assert not fetch(one)
    others.are_done = True
    may_end = one.may_end(holds_jobs=False)
    others.are_done = False  # during the fetch
    one.note_fetch(CLAIM, 1.0, is_last=may_end)
    assert not one.found_nothing


def test_not_before_the_others_of_its_group(others):
    group = DrainGroup(["default", "other"])
    one = draining(others)
    one.begin(group)
    assert not fetch(one)
    group.leave("other")
    assert fetch(one)
