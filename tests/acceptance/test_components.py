"""Components of a project's own in real processes: the example shop's, and ones that behave badly."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from django_loco.shutdown import CLEAN, FORCED
from tests.acceptance.project import Project, get, wait_until
from tests.acceptance.shop import Shop

BAD = """
import sys, threading
from django_loco.component import Component, Loop
from pages.steps import say, wait_for_file

class Leaves(Loop):
    name = "leaves"
    def __init__(self):
        sys.exit(3)
    def turn(self): pass

class Hangs(Component):
    name = "hangs"
    is_alive = True
    def start(self): say("hangs begins")
    def quiet(self): pass
    def stop(self, deadline): wait_for_file("never")
    def join(self, timeout=None): wait_for_file("never")

class Slow(Loop):
    name = "slow"
    def open(self):
        say("slow opens")
        wait_for_file("slow")
        say("slow is open")
    def turn(self): say("slow turns")
    def close(self): say("slow closes")
"""


def bad(project: Project, *names: str) -> None:
    project.write("pages/bad.py", BAD)
    project.settings["LOCO"] = {"SHUTDOWN_TIMEOUT": 1, "COMPONENTS": [f"pages.bad.{name}" for name in names]}


@pytest.mark.own_database
def test_the_shops_price_feed_makes_a_job_of_each_line_and_remembers_where_it_was(tmp_path: Path):
    with Shop(tmp_path, DATABASE_URL="") as shop:
        shop.manage("migrate", "--verbosity", "0")
        feed = tmp_path / "prices.jsonl"
        feed.write_text('{"product": 1, "price": "1234.50"}\nno price\n{"product": 2, "price": "12')
        process = shop.serve("--component", "price-feed", "--noreload")
        process.wait_for(r"\[price-feed\].* WARNING: No price: b'no price")
        wait_until(lambda: prices(shop, 1) == ["1234.50"], "change of a price")
        with feed.open("a") as file:
            file.write('34.00"}\n')
        wait_until(lambda: prices(shop, 2) == ["1234.00"], "change of a price whose line came in two parts")
        assert process.terminate() == CLEAN
        process = shop.serve("--component", "price-feed", "--noreload")
        with feed.open("a") as file:
            file.write("still no price\n")
        process.wait_for("still no price")
        assert "b'no price" not in process.output
        assert process.terminate() == CLEAN


def prices(shop: Shop, product: int) -> list[str]:
    code = f"from shop.models import Product; print([str(p.price) for p in Product.objects.filter(pk={product})])"
    found: list[str] = json.loads(shop.manage("shell", "--verbosity", "0", "--command", code).replace("'", '"'))
    return found


def test_a_component_alone_runs_by_its_name_and_an_unknown_one_is_refused(project):
    project.write("pages/bad.py", BAD)
    project.settings["LOCO"] = {"COMPONENTS": ["pages.bad.Slow", "pages.bad.Leaves"]}
    project.open_gate("slow")
    process = project.start("loco_start", "--no-server", "--noreload", "--component", "slow")
    process.wait_for("slow turns")
    assert process.terminate() == CLEAN
    assert process.output.index("slow turns") < process.output.index("slow closes")
    refused = project.answer("loco_start", "--no-server", "--component", "slwo", code=1)
    assert "LOCO['COMPONENTS'] has no component 'slwo'. Did you mean 'slow'?" in refused


def test_one_that_leaves_and_one_that_does_not_stop_touch_nothing_else(project):
    bad(project, "Leaves", "Hangs")
    process = project.serve("--all", "--noreload")
    process.wait_for(r"The leaves failed: SystemExit\(3\)")
    process.wait_for("hangs begins")
    project.open_gate("job")
    project.enqueue("job")
    process.wait_for("job job ends")
    assert get(project.url()) == "version 1"
    assert process.terminate() == FORCED
    assert "The stop() of the hangs took too long and was abandoned" in process.output
    assert "Abandoned: hangs" in process.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_a_component_starts(project, number):
    bad(project, "Slow")
    project.settings["LOCO"]["SHUTDOWN_TIMEOUT"] = 20
    process = project.serve("--all", "--noreload", SITE_HOOKS="1")
    process.wait_for("slow opens")
    process.signal(number)
    process.wait_for("hook during")  # all components have been told to take nothing new
    project.open_gate("slow")
    assert process.wait() == CLEAN
    assert "slow closes" in process.output
    assert "slow turns" not in process.output


@pytest.mark.parametrize("moment", [0.1, 0.25, 0.4])
def test_a_signal_at_any_moment_of_the_start_ends_the_process(project, moment):
    process = project.start("loco_worker", "--scheduler")
    time.sleep(moment)  # any moment will do
    process.signal(signal.SIGTERM)
    assert process.wait() in (CLEAN, -signal.SIGTERM)
    assert "Traceback" not in process.output


def test_all_that_a_process_says_in_json_is_json(project):
    bad(project, "Leaves")
    project.settings["LOCO"]["LOG_FORMAT"] = "json"
    project.settings["MIDDLEWARE"] = ["django_loco.middleware.request_id"]
    project.write(
        "pages/tasks.py",
        "import threading, warnings\nfrom django_loco.tasks import task\n@task\ndef work(name):\n"
        "    warnings.warn('old')\n    threading.Thread(target=lambda: 1 / 0).start()\n    raise ValueError(name)\n",
    )
    process = project.start("loco_start", "--all", "--noreload", str(project.port))
    process.wait_for("Started")
    project.enqueue("broken")
    process.wait_for("ValueError: broken")
    process.wait_for("ZeroDivisionError")
    process.wait_for("The leaves failed")
    assert process.terminate() == CLEAN
    lines = [json.loads(line) for line in process.lines]
    (failed,) = [line for line in lines if "ValueError: broken" in line.get("exception", "")]
    assert (failed["component"], failed["task"], len(failed["job_id"])) == ("worker", "pages.tasks.work", 32)
    (access,) = [line for line in lines if line["logger"] == "django.server"]
    assert (access["component"], len(access["request_id"])) == ("web", 32)
