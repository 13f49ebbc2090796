"""Queues in memory that count as reachable: there are no other processes in a unit test."""

from __future__ import annotations

import pytest

from django_loco.queues.memory import MemoryQueue


@pytest.fixture(autouse=True)
def _shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryQueue, "is_shared", True)
