"""The queue of an alias, as all callers of a process share it."""

from __future__ import annotations

from typing import Any

import pytest

from django_loco import queues
from django_loco.queues import queue_for


def test_a_finalizer_that_asks_while_the_queue_is_made_gets_the_same_one(monkeypatch: pytest.MonkeyPatch):
    build, made = queues.build, []

    def build_and_collect(alias: str, options: dict[str, Any]) -> queues.Queue:
        monkeypatch.setattr(queues, "build", build)
        made.append(queue_for(alias))
        return build(alias, options)

    monkeypatch.setattr(queues, "_queues", {})
    monkeypatch.setattr(queues, "build", build_and_collect)
    assert queue_for("default") is made[0]
