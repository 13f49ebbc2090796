"""The signals about ticks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings

from django_loco import signals
from django_loco.metrics.tick_counts import TickCounts
from django_loco.scheduler import Registry
from django_loco.scheduler import scheduler as scheduler_module
from django_loco.scheduler.dispatch import announcements

from ..store import NOON, SECOND, SETTING, Store, StoreBackend, let_go_by, started
from ..tasks import tick


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(StoreBackend, "store", store := Store())
    store.now = NOON
    with override_settings(TASKS=SETTING):
        yield store


@pytest.fixture(autouse=True)
def counts(monkeypatch: pytest.MonkeyPatch) -> TickCounts:
    counts = TickCounts()
    for module in (announcements, scheduler_module):
        monkeypatch.setattr(module, "counts", counts)
    return counts


@pytest.fixture
def heard() -> Iterator[list[tuple[str, Any, Any]]]:
    heard: list[tuple[str, Any, Any]] = []

    def note_fired(schedule: str, due_at: Any, lateness: float, task_result: Any, **values: Any) -> None:
        heard.append((schedule, due_at, lateness))

    def note_late(schedule: str, due_at: Any, lateness: float, **values: Any) -> None:
        heard.append((schedule, "late", lateness))

    def note_skipped(schedule: str, due_at: Any, reason: str, **values: Any) -> None:
        heard.append((schedule, due_at, reason))

    receivers = (signals.tick_fired, note_fired), (signals.tick_late, note_late), (signals.tick_skipped, note_skipped)
    for signal, receiver in receivers:
        signal.connect(receiver)
    yield heard
    for signal, receiver in receivers:
        signal.disconnect(receiver)


def test_ticks_are_fired_and_may_be_late(store, heard, counts):
    registry = Registry(strict=True)
    registry.every(tick, seconds=10, name="beat")
    scheduler = started(registry, store)
    let_go_by(store, 10, scheduler)
    assert [(name, at) for name, at, _ in heard] == [("beat", NOON), ("beat", NOON + 10 * SECOND)]
    heard.clear()
    store.now = NOON + 26 * SECOND
    scheduler.fire_due()
    assert heard == [("beat", NOON + 20 * SECOND, 6.0), ("beat", "late", 6.0)]
    assert counts.all() == {("beat", "fired", ""): 2, ("beat", "late", ""): 1}


def test_ticks_are_skipped_while_an_earlier_job_runs(store, heard):
    registry = Registry(strict=True)
    registry.every(tick, seconds=10, name="beat", overlap="skip")
    let_go_by(store, 10, started(registry, store))
    assert heard[1:] == [("beat", NOON + 10 * SECOND, "overlap")]


def test_ticks_are_missed(store, heard, counts):
    registry = Registry(strict=True)
    registry.every(tick, seconds=60, name="beat", misfire="skip")
    scheduler = started(registry, store)
    let_go_by(store, 1, scheduler)
    heard.clear()
    store.now = NOON + timedelta(seconds=90)
    scheduler.fire_due()
    assert heard == [("beat", NOON + 60 * SECOND, "missed")]
    assert counts.all()["beat", "skipped", "missed"] == 1


def test_a_schedule_that_has_not_fired_yet_is_counted(store, counts):
    registry = Registry(strict=True)
    registry.every(tick, seconds=60, name="beat")
    started(registry, store)
    assert counts.all() == {("beat", "fired", ""): 0}
