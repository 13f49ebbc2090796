"""Schedulers on one database queue, of which one leads; on a clock that stands still until a test moves it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError
from django.test import override_settings

from django_loco.models import ScheduleLead
from django_loco.queues import queue_for
from django_loco.scheduler import Registry, Scheduler
from django_loco.scheduler.dispatch.board import Board, Word
from django_loco.scheduler.dispatch.lead import SELDOM
from django_loco.scheduler.dispatch.leads import Leads
from tests.unit.scheduler.tasks import send

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
COUNT = 12


class Crowd:
    """Schedulers, and the clock that they share."""

    def __init__(self):
        self.seconds = 0.5
        self.schedulers = []

    def start(self, names=COUNT):
        registry = Registry(strict=True)
        for number in range(names):
            registry.every(send, seconds=1, args=[number], name=f"send {number}")
        scheduler = Scheduler(registry, now=lambda: NOON + timedelta(seconds=self.seconds))
        scheduler._leads = Leads(clock=lambda: self.seconds)
        scheduler.plan()
        self.schedulers.append(scheduler)
        return scheduler

    def run(self, seconds):
        until = self.seconds + seconds
        while self.seconds < until:
            self.seconds += 0.25
            for scheduler in self.schedulers:
                scheduler.fire_due()

    def roles(self):
        return Counter(scheduler.health()["roles"].get("default", "alone") for scheduler in self.schedulers)

    def leader(self):
        return next(
            scheduler for scheduler in self.schedulers if scheduler.health()["roles"].get("default") == "leader"
        )

    def assert_all_fired(self, names=COUNT, start=1):
        """Each tick up to those of which a standby may still wait to be told is there, once."""
        found = Counter(job.key for job in queue_for("default").list(limit=100_000))
        expected = {
            f"send {number}@{(NOON + timedelta(seconds=second)).isoformat()}"
            for number in range(names)
            for second in range(start, int(self.seconds) - 2)
        }
        assert expected <= set(found)
        assert set(found.values()) == {1}


@pytest.fixture
def crowd():
    crowd = Crowd()
    for _ in range(3):
        crowd.start()
    return crowd


def test_one_leads_and_one_that_dies_or_leaves_is_followed_by_another(crowd):
    crowd.run(SELDOM + 5)
    assert crowd.roles() == {"leader": 1, "standby": 2}
    crowd.schedulers.remove(crowd.leader())
    crowd.start()
    crowd.run(SELDOM + 5)
    assert crowd.roles() == {"leader": 1, "standby": 2}
    leader = crowd.leader()
    leader.quiet()
    leader.fire_due()
    assert leader.health()["roles"] == {}
    crowd.run(SELDOM + 5)
    crowd.assert_all_fired()


def test_a_release_with_another_schedule_goes_its_own_way(crowd):
    crowd.run(SELDOM + 5)
    crowd.start(COUNT + 1)
    began = int(crowd.seconds) + 1
    crowd.run(SELDOM + 5)
    assert crowd.roles() == {"leader": 1, "standby": 2, "alone": 1}
    crowd.assert_all_fired(COUNT + 1, began)


def test_without_the_table_all_fire(crowd, monkeypatch):
    def broken(self, *arguments):
        raise OperationalError("no such table: django_loco_schedule_lead")

    crowd.run(SELDOM + 5)
    monkeypatch.setattr(Board, "read", broken)
    monkeypatch.setattr(Board, "write", broken)
    crowd.run(SELDOM)
    assert crowd.roles() == {"alone": 3}
    crowd.assert_all_fired()


def test_a_row_that_makes_no_sense_costs_no_tick(crowd):
    crowd.run(SELDOM + 5)
    for text in ("", "[1, 2]", "{", '{"x": 5}'):
        ScheduleLead.objects.update(fired=text, holder="ghost")
        crowd.run(5)
    crowd.assert_all_fired()


def test_few_ticks_leave_the_table_empty():
    crowd = Crowd()
    for _ in range(3):
        crowd.start(2)
    crowd.run(SELDOM + 5)
    assert not ScheduleLead.objects.exists()
    assert crowd.roles() == {"alone": 3}


def test_a_queue_in_memory_has_no_leader():
    memory = {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"queue": "memory", "mode": "BackgroundQueue"}}
    with override_settings(TASKS={"default": memory}):
        crowd = Crowd()
        for _ in range(2):
            crowd.start()
        crowd.run(SELDOM + 5)
        assert crowd.roles() == {"alone": 2}
        queue_for("default").clear()
    assert not ScheduleLead.objects.exists()


def test_only_who_has_seen_the_latest_word_may_write():
    board, word = Board("queue", "default"), Word("one", 1, {"tick": "digest"})
    assert board.read() is None
    assert board.write(None, word)
    assert not board.write(None, Word("other", 1, {}))
    assert board.read() == word
    assert board.write(word, Word("other", 2, {}))
    assert not board.write(word, Word("one", 2, {}))
    assert board.read() == Word("other", 2, {})


def test_rows_that_nobody_uses_any_more_are_deleted():
    Board("old", "default").write(None, Word("one", 1, {}))
    ScheduleLead.objects.update(told_at=NOON - timedelta(days=365))
    Board("new", "default").write(None, Word("one", 1, {}))
    assert [row.scope for row in ScheduleLead.objects.all()] == ["new"]
