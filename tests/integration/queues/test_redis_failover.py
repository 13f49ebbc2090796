"""Another server becomes the primary: what Sentinels or a Cluster do, and what then happens to jobs."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from redis.exceptions import RedisError
from redis.sentinel import Sentinel

from django_loco.core.job import Job
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.redis import RedisQueue
from tests.processes import free_port
from tests.redis_server import IN_MEMORY, RedisServer, sentinel_caches

CLAIM = Claim(worker_id="w1", lease=60, threads=10)
LOGGER = "django_loco.queues"


def job() -> Job:
    return Job(task_path="shop.tasks.send", backend="default")


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(RedisError):  # a Sentinel closes the connections of a server when it gives it another role
            if condition():
                return
        time.sleep(0.02)
    pytest.fail("it never came true")


class Site:
    """A primary with a replica, a Sentinel, and clients of each."""

    def __init__(self, service, primary, replica, sentinel) -> None:
        self.primary, self.replica, self.sentinel = primary.client(), replica.client(), sentinel.client()
        self.service, self.new, self.sentinel_server = service, replica, sentinel

    def fail_over(self) -> None:
        """Fail over as planned; the old primary stays one for a while, until the Sentinel makes it a replica."""
        until(lambda: self.primary.info("replication").get("slave0", {}).get("state") == "online")
        until(lambda: self.sentinel.sentinel_slaves(self.service))
        self.sentinel.execute_command("SENTINEL", "FAILOVER", self.service)
        until(lambda: self.replica.info("replication")["role"] == "master")

    def close(self) -> None:
        for client in (self.primary, self.replica, self.sentinel):
            client.close()


@pytest.fixture
def site(tmp_path, settings):
    file = tmp_path / "sentinel.conf"
    with RedisServer() as primary, RedisServer(*IN_MEMORY, "--replicaof", "127.0.0.1", str(primary.port)) as replica:
        service = f"at{primary.port}"  # django-redis keeps the pools of all names
        file.write_text(f"sentinel monitor {service} 127.0.0.1 {primary.port} 1\n")
        with RedisServer("--sentinel", configuration=file) as sentinel:
            settings.DJANGO_REDIS_CONNECTION_FACTORY = "django_redis.pool.SentinelConnectionFactory"
            settings.CACHES = sentinel_caches(sentinel.port, {"primary": service})
            site = Site(service, primary, replica, sentinel)
            yield site
            site.close()


@pytest.fixture
def queue(site) -> RedisQueue:
    return RedisQueue("default", {"cache": "primary"})


def test_jobs_go_to_the_new_primary_while_the_old_one_still_takes_some(site, queue):
    queue.enqueue([job()])
    site.fail_over()

    def is_on_the_new_one():
        [stored] = queue.enqueue([job()])
        return new.get(stored.id) is not None

    new = RedisQueue("default", {"url": site.new.url})
    until(is_on_the_new_one)
    assert site.primary.info("replication")["role"] == "master"


def blocked(client):
    return client.info("clients")["blocked_clients"]


def test_who_waits_is_woken_by_the_new_primary(site, queue):
    ended = threading.Event()

    def work():
        while not ended.is_set():
            with suppress(QueueUnavailable, RedisError):  # as a worker on a busy machine, which then tries again
                queue.fetch(CLAIM)
                queue.wait(1)
        queue.close()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        until(lambda: blocked(site.primary) == 1)
        site.fail_over()
        until(lambda: blocked(site.replica) == 1)
        assert site.primary.info("replication")["role"] == "master"
    finally:
        ended.set()
        worker.join()


def test_commands_go_on_without_a_sentinel(site, queue, caplog, monkeypatch):
    queue.enqueue([job()])
    site.sentinel_server.pause()
    try:
        for _ in range(2):
            queue.server._watch.look_soon()
            started = time.monotonic()
            queue.enqueue([job()])
            assert time.monotonic() - started < 2
    finally:
        site.sentinel_server.resume()
    said = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    primary = f"127.0.0.1:{site.primary.connection_pool.connection_kwargs['port']}"
    assert len(said) == 1
    assert f"CACHES['primary'] do not say which server is the primary, so {primary} is used: No master" in said[0]


def test_sentinels_are_asked_once_a_second(site, queue, monkeypatch):
    queue.enqueue([job()])
    asked = []
    discover = Sentinel.discover_master
    monkeypatch.setattr(Sentinel, "discover_master", lambda *given: (asked.append(1), discover(*given))[1])
    queue.server._watch.look_soon()
    started = time.monotonic()
    for _ in range(20):
        queue.enqueue([job()])
    assert 1 <= len(asked) <= 1 + (time.monotonic() - started)


def test_who_waits_goes_on_if_the_server_becomes_a_replica_for_a_moment(site, queue):
    with ThreadPoolExecutor(1) as waits:
        announced = waits.submit(lambda: (queue.wait(20), queue.close()))
        until(lambda: blocked(site.primary) == 1)
        with site.primary.pipeline() as both:
            both.replicaof("127.0.0.1", site.new.port)
            both.replicaof("no", "one")
            both.execute()
        until(lambda: blocked(site.primary) == 1)
        queue.enqueue([job()])
        assert announced.result(20) == (True, None)


def test_a_primary_without_replicas_is_left_for_another(site, queue):
    site.primary.config_set("min-replicas-to-write", 2)
    with pytest.raises(QueueUnavailable, match=r"enough good replicas to write\. Too few .*min-replicas-to-write"):
        queue.enqueue([job()])
    site.fail_over()

    def is_stored():
        with suppress(QueueUnavailable):
            return queue.enqueue([job()])
        return False

    until(is_stored)
    assert site.primary.info("replication")["role"] == "master"


@pytest.fixture
def members():
    """Two members of a Cluster; the first one has the slot of our keys, 5718."""
    options = "--cluster-enabled", "yes", *IN_MEMORY
    with RedisServer(*options) as first, RedisServer(*options) as second:
        with first.client() as one, second.client() as two:
            one.execute_command("CLUSTER", "ADDSLOTS", *range(8192))
            two.execute_command("CLUSTER", "ADDSLOTS", *range(8192, 16384))
            one.execute_command("CLUSTER", "MEET", "127.0.0.1", second.port)
            until(lambda: all(client.cluster("INFO")["cluster_known_nodes"] == "2" for client in (one, two)))
            until(lambda: all(client.cluster("INFO")["cluster_state"] == "ok" for client in (one, two)))
        yield first, second


def test_who_waits_follows_the_keys_to_another_member(members):
    queue = RedisQueue("default", {"url": members[0].url, "cluster": True})
    waits = ThreadPoolExecutor(1)
    with waits, members[0].client() as one, members[1].client() as two:
        announced = waits.submit(lambda: (queue.wait(20), queue.close()))
        until(lambda: blocked(one) == 1)
        slot = one.cluster("KEYSLOT", queue.server.key(""))
        for client in (two, one):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", two.execute_command("CLUSTER", "MYID"))
        until(lambda: blocked(two) == 1)
        queue.enqueue([job()])
        assert announced.result(20) == (True, None)


def test_who_waits_sleeps_while_the_keys_move(members):
    queue = RedisQueue("default", {"url": members[0].url, "cluster": True})
    with members[0].client() as one, members[1].client() as two:
        slot = one.cluster("KEYSLOT", queue.server.key(""))
        two.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", one.execute_command("CLUSTER", "MYID"))
        one.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", two.execute_command("CLUSTER", "MYID"))
        started = time.monotonic()
        assert queue.wait(0.5) is False
        assert time.monotonic() - started >= 0.5
        queue.close()


def test_a_cluster_is_found_through_any_member_that_is_named(members):
    port = free_port()
    urls = (f"redis://127.0.0.1:{port}", *(server.url for server in members))
    queue = RedisQueue("default", {"url": urls, "cluster": True})
    queue.enqueue([job()])
    assert len(queue.fetch(CLAIM)) == 1
    assert queue.examiner(queue).address == f"Redis at 127.0.0.1:{port}/0 and 2 other members"
