"""Fixtures for the integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from django_loco import queues
from django_loco.core.compat import task_backends


@pytest.fixture(autouse=True)
def real_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``TESTING = "manual"`` replace no queue: tests that name Redis are about Redis."""
    monkeypatch.setattr(queues, "_made", lambda alias, _: queues.build(alias, task_backends[alias].options))


@pytest.fixture
def other() -> Iterator[Any]:
    """A cursor of somebody else on the database, in a transaction."""
    connection = connections.create_connection("default")
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        yield cursor
    connection.close()
