import time

import pytest

from django_loco.queues.redis import RedisQueue
from django_loco.testing.contract import QueueContract
from tests.redis_server import IN_MEMORY, RedisServer


class TestRedisQueue(QueueContract):
    @pytest.fixture(autouse=True)
    def server(self, redis_server):
        self.url = redis_server.url

    def make_queue(self):
        return RedisQueue("default", {"url": self.url})


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


@pytest.fixture(scope="module")
def cluster():
    with RedisServer("--cluster-enabled", "yes", *IN_MEMORY) as server, server.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        while client.cluster("INFO")["cluster_state"] != "ok":
            time.sleep(0.02)
        yield server


class TestRedisQueueInACluster(TestRedisQueue):
    """A cluster of one refuses what would touch several of its members, and a client that asks the wrong one."""

    @pytest.fixture(autouse=True)
    def server(self, cluster):
        self.url = cluster.url

    def make_queue(self):
        return RedisQueue("default", {"url": self.url, "cluster": True})
