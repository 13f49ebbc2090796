"""``ATOMIC_REQUESTS`` on the SQLite file in which jobs wait: what it does, and that a check says so."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections, transaction

from django_loco.checks.queues import check_queues

from ..conftest import ON_POSTGRES

pytestmark = pytest.mark.django_db(transaction=True)
on_sqlite = pytest.mark.skipif(ON_POSTGRES, reason="about SQLite")


@pytest.fixture
def configured(settings, monkeypatch):
    """Jobs in the default database, which is set as a test says."""
    settings.WORKER_MODE = "BackgroundQueue"
    settings.TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"queue": "database"}}}

    def configured(*, atomic: bool, **options: str) -> list[str]:
        monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic)
        monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
        return [str(message.id) for message in check_queues()]

    return configured


def test_the_check_speaks_where_requests_would_line_up_and_nowhere_else(configured):
    expected = [] if ON_POSTGRES else ["loco.W008"]
    assert configured(atomic=True) == expected
    assert configured(atomic=True, transaction_mode="immediate") == expected
    assert configured(atomic=True, transaction_mode="DEFERRED") == []
    assert configured(atomic=False) == []


@on_sqlite
def test_one_that_only_reads_waits_for_the_other(configured):
    configured(atomic=True)
    connection.close()
    ended = threading.Event()

    def read() -> None:
        with transaction.atomic():
            ended.set()
        connections.close_all()

    other = threading.Thread(target=read)
    with transaction.atomic():
        other.start()
        assert not ended.wait(0.3)
    assert ended.wait(10)
    other.join()
