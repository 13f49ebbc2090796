import pytest

from django_loco.queues.database import DatabaseQueue
from django_loco.testing.contract import QueueContract


@pytest.mark.django_db(transaction=True)
class TestDatabaseQueue(QueueContract):
    def make_queue(self):
        return DatabaseQueue("default", {})
