import unittest

from django_loco.queues.memory import MemoryQueue
from django_loco.testing.contract import QueueContract


class TestMemoryQueue(QueueContract):
    def make_queue(self):
        return MemoryQueue("default", {"max_results": 10_000})


class TestMemoryQueueInUnittest(QueueContract, unittest.TestCase):
    def make_queue(self):
        return MemoryQueue("default", {"max_results": 10_000})
