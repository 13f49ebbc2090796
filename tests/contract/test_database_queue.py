import pytest
from django.db import connections

from django_loco.queues.database import DatabaseQueue
from django_loco.testing.contract import QueueContract

from ..conftest import ON_POSTGRES


@pytest.mark.django_db(transaction=True)
class TestDatabaseQueue(QueueContract):
    def make_queue(self):
        return DatabaseQueue("default", {})


@pytest.mark.skipif(not ON_POSTGRES, reason="about PostgreSQL; runs when LOCO_TEST_DATABASE is postgres")
class TestDatabaseQueueWithServerSideBinding(TestDatabaseQueue):
    """PostgreSQL finds out the type of each parameter from the statement."""

    @pytest.fixture(autouse=True)
    def binding(self, monkeypatch):
        connections.close_all()
        monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "server_side_binding", True)
        yield
        connections.close_all()
