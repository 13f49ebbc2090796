import unittest

import pytest

from django_loco.queues.redis import RedisQueue
from django_loco.testing.contract import QueueContract


class TestRedisQueue(QueueContract):
    @pytest.fixture(autouse=True)
    def server(self, redis_server):
        self.url = redis_server.url

    def make_queue(self):
        return RedisQueue("default", {"url": self.url})


class TestRedisQueueInUnittest(TestRedisQueue, unittest.TestCase):
    pass


class TestRedisQueueOfACache(TestRedisQueue):
    """With the connections of a cache, among whose settings are some that change what a client says."""

    @pytest.fixture(autouse=True)
    def cache(self, server, settings):
        options = {"CONNECTION_POOL_KWARGS": {"decode_responses": True, "protocol": 2, "max_connections": 50}}
        settings.CACHES = {
            "jobs": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": self.url.replace("127.0.0.1", "localhost"),  # django-redis has one pool per location
                "KEY_PREFIX": "shop",
                "OPTIONS": options,
            }
        }

    def make_queue(self):
        return RedisQueue("default", {"cache": "jobs"})
