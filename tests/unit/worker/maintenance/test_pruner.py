"""Old results are deleted once a minute, in batches."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import pytest

from django_loco.exceptions import QueueUnavailable
from django_loco.worker.maintenance import pruner as pruner_module
from django_loco.worker.maintenance.pruner import Pruner

from ..support import Clock, TroubledQueue


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_too_large_a_batch_is_deleted_in_parts(queue, clock, monkeypatch):
    sizes: list[int] = []

    def picky(older_than: float, limit: int) -> int:
        sizes.append(limit)
        if limit > 300:
            raise QueueUnavailable("statement timeout")
        return 0

    monkeypatch.setattr(queue, "prune", picky)
    pruner = Pruner(queue, 60, threading.Event(), clock)
    for _ in range(3):
        with suppress(QueueUnavailable):
            pruner.prune_if_due()
    assert sizes == [1_000, 500, 250]


def test_the_end_does_not_wait_until_all_is_deleted(queue, clock, monkeypatch):
    ended = threading.Event()
    deleted = iter([1_000, 1_000, 0])
    monkeypatch.setattr(queue, "prune", lambda older_than, limit: ended.set() or next(deleted))
    Pruner(queue, 60, ended, clock).prune_if_due()
    assert next(deleted) == 1_000


def test_it_deletes_once_a_minute_and_while_there_is_more(queue, clock, monkeypatch):
    monkeypatch.setattr(pruner_module, "PRUNE_BATCH", 2)
    left = [2, 2, 1, 0]
    asked: list[Any] = []

    def prune(older_than: float, limit: int) -> int:
        asked.append((older_than, limit))
        return left.pop(0)

    monkeypatch.setattr(queue, "prune", prune)
    pruner = Pruner(queue, 86_400, threading.Event(), clock)
    for _ in range(20):
        pruner.prune_if_due()
        clock.now += 3
    assert asked == [(86_400, 2)] * 3
    pruner.prune_if_due()
    assert len(asked) == 4
