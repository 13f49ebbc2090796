"""What a newcomer does with the example project, and then with the same project on a durable queue."""

from __future__ import annotations

import json
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ..conftest import ON_POSTGRES
from .shop import PROJECT, Shop, is_open, until

OpenShop = Callable[..., Shop]


@pytest.fixture(scope="module")
def stocked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A migrated database of the shop, to be copied."""
    folder = tmp_path_factory.mktemp("stocked")
    if ON_POSTGRES:
        server = request.getfixturevalue("postgres")
        name = f"stocked_{uuid4().hex}"
        server.create_database(name)
        with Shop(folder, DATABASE_URL=f"postgres://loco@127.0.0.1:{server.port}/{name}") as shop:
            shop.manage("migrate", "--verbosity", "0")
        return name
    with Shop(folder) as shop:
        shop.manage("migrate", "--verbosity", "0")
    return str(folder / "db.sqlite3")


@pytest.fixture
def open_shop(request: pytest.FixtureRequest, stocked: str, tmp_path: Path) -> Iterator[OpenShop]:
    """Make a shop with a database of its own and the environment variables given."""
    shops: list[Shop] = []
    databases: list[str] = []

    def make(project: Path = PROJECT, **environment: str) -> Shop:
        if ON_POSTGRES:
            databases.append(f"shop_{uuid4().hex}")
            server = request.getfixturevalue("postgres")
            server.create_database(databases[-1], template=stocked)
            environment["DATABASE_URL"] = f"postgres://loco@127.0.0.1:{server.port}/{databases[-1]}"
        else:
            shutil.copy(stocked, tmp_path / "db.sqlite3")
        shops.append(Shop(tmp_path, project, **environment))
        return shops[-1]

    yield make
    for shop in shops:
        shop.__exit__()
    for database in databases:
        request.getfixturevalue("postgres").drop_database(database)


def sell_less(shop: Shop) -> None:
    """Keep 500 products, 2 of each thing in each material, where 2,500 jobs show no more than 500 do."""
    code = "from shop.models import Product; Product.objects.exclude(colour__in=['moss', 'sea']).delete()"
    shop.manage("shell", "--verbosity", "0", "--command", code)


def is_done(live: dict) -> bool:
    return bool(live["run"]) and live["run"]["state"] == "done" and live["run"]["running"] == "0"


def assert_reindexed(live: dict, documents: str, jobs: str) -> None:
    run = live["run"]
    assert (live["documents"], run["done"], run["waiting"], run["failed"]) == (documents, jobs, "0", "0"), live
    assert run["percent"] == 100


def test_one_command_serves_the_catalogue_and_runs_its_jobs(open_shop: OpenShop) -> None:
    shop = open_shop()
    sell_less(shop)
    site = shop.serve("--worker", "--noreload")
    page = shop.get()
    assert "500 products, from the database: the index is still empty" in page
    assert "BackgroundAsync" in page
    assert "memory queue" in page

    for kind, jobs in (("single", "500"), ("async", "500"), ("batch", "1")):
        shop.post("/reindex", kind=kind)
        live = shop.wait_for(is_done)
        assert_reindexed(live, "500", jobs)
        print(f"{kind}: {live['run']['seconds']}, {live['run']['rate']} jobs/s")
        # Beside other tests on a slow machine most of it is time of the processor.
        assert float(live["run"]["seconds"].split()[0]) < 20, "one after the other they take 25 seconds"

    page = shop.get("/?q=oak+lamp")
    assert "2 products, from the search index" in page
    assert "Oak lamp, moss" in page
    assert site.terminate() == 0
    until(lambda: not is_open(shop.index_port), what="the end of the index service")


@pytest.mark.own_database
def test_a_job_that_fails_is_tried_again_and_tells_its_story(open_shop: OpenShop) -> None:
    shop = open_shop()
    shop.serve("--worker", "--noreload")
    shop.post("/fail", until="third")
    shop.post("/fail", until="end")
    ended = {"failed", "successful"}
    live = shop.wait_for(lambda live: {failure["status"] for failure in live["failures"]} == ended)
    to_the_end, twice = live["failures"]
    assert to_the_end["story"] == "failed after 4 attempts"
    assert [re.findall(r"attempt (\d)", error) for error in to_the_end["errors"]] == [["1"], ["2"], ["3"], ["4"]]
    assert twice["story"] == "done at attempt 3"
    assert len(twice["errors"]) == 2
    assert "failed after 4 attempts" in shop.get()


@pytest.mark.own_database
@pytest.mark.timeout(120)
def test_an_import_shows_how_far_it_is(open_shop: OpenShop) -> None:
    shop = open_shop()
    server = shop.serve("--worker", "--noreload")
    page = shop.post("/import")
    assert ">Price list</label>" in page
    address = re.search(r'data-loco-progress="([^"]*)"', page)
    assert address
    seen: list[dict[str, Any]] = []

    def is_over() -> bool:
        seen.append(json.loads(shop.get(address[1])))
        return bool(seen[-1]["finished"])

    until(is_over, 90)
    assert (seen[-1]["state"], seen[-1]["text"]) == ("done", "2,500 of 2,500 (100 %): prices")
    assert len({each["percent"] for each in seen}) > 2
    server.wait_for("2500 prices are imported; 5 of 5 parts are in the index")


@pytest.mark.own_database
@pytest.mark.timeout(120)
def test_the_schedule_changes_prices(open_shop: OpenShop) -> None:
    shop = open_shop()
    shop.serve("--worker", "--scheduler", "--noreload")
    shop.post("/reindex", kind="batch")
    shop.wait_for(is_done)
    live = shop.wait_for(lambda live: live["prices"], timeout=90)
    assert live["prices"]["changed"] == 50


@pytest.mark.own_database
def test_the_same_project_runs_its_jobs_in_a_separate_worker(open_shop: OpenShop) -> None:
    shop = open_shop(WORKER_MODE="BackgroundQueue")
    sell_less(shop)
    site = shop.serve("--noreload")
    assert "database queue" in shop.get()
    page = shop.post("/reindex", kind="single")
    assert "No worker has taken a job yet" in page
    assert shop.live()["run"]["waiting"] == "500"
    assert "still at work" in shop.post("/reindex", kind="single")

    worker = shop.start("loco_worker")
    assert_reindexed(shop.wait_for(is_done, timeout=45), "500", "500")
    assert worker.terminate() == 0
    assert site.is_running
    assert is_open(shop.index_port), "the site still needs the index service that the worker may have started"
    assert site.terminate() == 0


@pytest.mark.own_database
def test_the_index_service_goes_when_nobody_is_left_to_need_it(open_shop: OpenShop) -> None:
    shop = open_shop()
    site = shop.serve("--noreload")
    shop.get()
    assert is_open(shop.index_port)
    site.close()  # kill -9
    until(lambda: not is_open(shop.index_port), what="the end of the index service")


@pytest.mark.own_database
def test_a_port_that_is_taken_is_said_on_the_page(open_shop: OpenShop) -> None:
    shop = open_shop()
    with socket.create_server(("127.0.0.1", shop.index_port)):  # it never answers
        shop.serve("--noreload")
        page = shop.get()
    assert f"Port {shop.index_port} is taken by another program" in page
    assert "from the database: the index does not answer" in page


@pytest.mark.own_database
def test_a_port_that_a_web_server_has_is_said_on_the_page(open_shop: OpenShop) -> None:
    shop = open_shop()
    with ThreadingHTTPServer(("127.0.0.1", shop.index_port), BaseHTTPRequestHandler) as other:  # it answers with errors
        threading.Thread(target=other.serve_forever).start()
        shop.serve("--noreload")
        page = shop.get()
        other.shutdown()
    assert f"Port {shop.index_port} is taken by another program" in page


@pytest.mark.own_database
def test_a_code_reload_loses_nothing(open_shop: OpenShop, tmp_path: Path) -> None:
    copy = shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("*.sqlite3*", "__pycache__"))
    shop = open_shop(copy)
    site = shop.serve("--worker")
    shop.post("/reindex", kind="single")
    (copy / "shop" / "tasks.py").touch()
    site.wait_for("changed, reloading")
    site.wait_for("http://127.0.0.1", count=2)  # the banner, again
    assert_reindexed(shop.wait_for(is_done), "2,500", "2,500")
    assert site.terminate() == 0
