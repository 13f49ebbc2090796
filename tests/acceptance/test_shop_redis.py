"""The example project on Redis: one environment variable, and as many workers as there is work for."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_loco.core.job import SUCCESSFUL
from django_loco.queues.redis import RedisQueue

from ..processes import Process
from ..redis_server import RedisServer
from .shop import Shop, until

PRODUCTS = 2_500


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[RedisServer]:  # the other one: to be left out where that is
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stocked")
    with Shop(folder) as shop:
        shop.environment.pop("DATABASE_URL", None)
        shop.manage("migrate", "--verbosity", "0")
    return folder / "db.sqlite3"


@pytest.fixture
def shop(server: RedisServer, stocked: Path, tmp_path: Path) -> Iterator[Shop]:
    shutil.copy(stocked, tmp_path / "db.sqlite3")
    with Shop(tmp_path, LOCO_QUEUE="redis", REDIS_URL=server.url) as shop:
        yield shop


def is_done(live: dict[str, Any]) -> bool:
    return bool(live["run"]) and live["run"]["state"] == "done" and live["run"]["running"] == "0"


def calls_of(shop: Shop, run: int) -> dict[str, Any]:
    """Return what the index service has seen of a re-index."""
    with urllib.request.urlopen(f"http://127.0.0.1:{shop.index_port}/status?run={run}", timeout=10) as answer:
        return dict(json.loads(answer.read())["run"])


def work_of(server: RedisServer, workers: list[Process]) -> dict[int, int]:
    """Return how many jobs each worker has run, by its process id. Each job must have had one attempt."""
    queue = RedisQueue("default", {"url": server.url, "prefix": "shop"})
    jobs = queue.list(status=SUCCESSFUL, limit=2 * PRODUCTS)
    assert len(jobs) == PRODUCTS
    assert {len(job.worker_ids) for job in jobs} == {1}
    assert {job.lost for job in jobs} == {0}
    return dict(Counter(int(job.worker_ids[0].split(":")[1]) for job in jobs))


def test_two_workers_share_the_re_index(shop: Shop, server: RedisServer) -> None:
    shop.serve("--noreload")
    page = shop.get()
    assert "BackgroundQueue" in page
    assert "redis queue" in page
    assert "Jobs wait in Redis" in page
    workers = [shop.start("loco_worker", "--noreload") for _ in range(2)]
    with server.client() as client:
        until(lambda: client.info("clients")["blocked_clients"] == 2, what="both workers wait for jobs")

    shop.post("/reindex", kind="single")
    live = shop.wait_for(is_done)

    assert live["documents"] == "2,500"
    run = calls_of(shop, live["run"]["id"])
    assert (run["documents"], run["calls"]) == (PRODUCTS, PRODUCTS), "none is lost, and none has run twice"
    shares = work_of(server, workers)
    assert set(shares) == {worker.pid for worker in workers}
    assert min(shares.values()) > PRODUCTS // 5, shares
    print(f"two workers: {live['run']['seconds']}, {live['run']['rate']} jobs/s, {sorted(shares.values())} jobs each")
    assert float(live["run"]["seconds"].split()[0]) < 12.5
    assert [worker.terminate() for worker in workers] == [0, 0]


def test_the_shop_is_open_while_redis_is_away(shop: Shop, server: RedisServer) -> None:
    server.kill()
    site = shop.serve("--worker", "--noreload")
    page = shop.get()
    assert "cannot be used now" in page
    assert "2,500 products" in page
    assert "Nothing was enqueued" in shop.post("/reindex", kind="batch")
    server.start()
    until(lambda: not shop.live()["problem"], what="the end of the outage")
    shop.post("/reindex", kind="batch")
    assert shop.wait_for(is_done)["documents"] == "2,500"
    assert site.terminate() == 0
