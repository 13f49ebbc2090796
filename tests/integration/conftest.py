"""Fixtures for the integration tests."""

from __future__ import annotations

import pytest

from django_loco import queues
from django_loco.core.compat import task_backends


@pytest.fixture(autouse=True)
def real_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``TESTING = "manual"`` replace no queue: tests that name Redis are about Redis."""
    monkeypatch.setattr(queues, "_made", lambda alias, _: queues.build(alias, task_backends[alias].options))
