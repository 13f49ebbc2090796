"""Three tabs of the dashboard beside a worker at full rate, for half an hour: ``make soak``.

Every 30 seconds it notes what the server, the worker and the browser's pages hold. At the end it prints the figures as
Markdown, and fails if something has grown: if the median of the last fifth is above that of the second one, by more
than the slack in ``MEASURES``. The first fifth is left out, in which caches fill.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Response, sync_playwright

from tests.acceptance.admin.browser_jobs import NAMES as PROGRAMS
from tests.acceptance.admin.browser_jobs import opened
from tests.acceptance.admin.stream_site import with_dashboard
from tests.acceptance.servers import ServedProject
from tests.children import end_on_signals
from tests.processes import Process
from tests.redis_server import RedisServer

#: The overview with its shortest range: in others the chart gets a bar each minute.
PAGES = ("jobs/?range=5m", "jobs/jobs/", "jobs/queues/")
MINUTES, SAMPLE_SECONDS = 30.0, 30.0
TASKS = """
from django_loco.tasks import task

@task
def work(number):
    return number
"""
#: Keeps some thousand jobs waiting, so that the worker never has to wait for one.
FEED = """
import time
from django_loco import jobs
from django_loco.tasks import enqueue_many
from pages.tasks import work
while True:
    waiting = sum(each.ready for each in jobs.stats(limit=4_000, ages=False))
    if waiting < 4_000:
        enqueue_many(work, range(2_000))
    else:
        time.sleep(0.1)
"""
RAN = """
from django_loco.jobs.stores import queue_of
print(sum(each.runs for each in queue_of("default").minutes(0) if each.labels.outcome == "successful"))
"""
#: How long results are kept, in seconds: otherwise the store would grow by millions of jobs.
RESULT_TTL = 30
ASGI = """
import os
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
application = ASGIStaticFilesHandler(get_asgi_application())
"""


@dataclass(frozen=True)
class Measure:
    """What is looked at, and how much more of it is no growth."""

    name: str
    slack: float
    """Of its own unit."""

    share: float
    """Of the amount."""

    def has_grown(self, before: float, after: float) -> bool:
        """Return whether it has."""
        return after > before * (1 + self.share) + self.slack


MEASURES = (
    *(
        measure
        for process in ("server", "worker")
        for measure in (
            Measure(f"{process} RSS, MiB", 3, 0.05),
            Measure(f"{process} descriptors", 3, 0),
            Measure(f"{process} threads", 2, 0),
            Measure(f"{process} connections", 2, 0),
        )
    ),
    *(
        measure
        for page in ("overview", "jobs", "queues")
        for measure in (
            Measure(f"{page} JS heap, MiB", 0.5, 0.1),
            Measure(f"{page} nodes", 200, 0.1),
            Measure(f"{page} listeners", 20, 0.1),
        )
    ),
)


def of_process(name: str, pid: int) -> Iterator[tuple[str, float]]:
    """Yield what a process holds."""
    folder = Path(f"/proc/{pid}")
    status = (folder / "status").read_text()
    links = [_target(each) for each in (folder / "fd").iterdir()]
    yield f"{name} RSS, MiB", int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
    yield f"{name} descriptors", len(links)
    yield f"{name} threads", len(list((folder / "task").iterdir()))
    yield f"{name} connections", sum(link.startswith("socket:") for link in links)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # it was closed in the meantime
        return ""


def of_page(name: str, session: CDPSession) -> Iterator[tuple[str, float]]:
    """Yield what a page holds, after its garbage was collected."""
    session.send("HeapProfiler.collectGarbage")
    found = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    yield f"{name} JS heap, MiB", found["JSHeapUsedSize"] / 2**20
    yield f"{name} nodes", found["Nodes"]
    yield f"{name} listeners", found["JSEventListeners"]


class Soak:
    """One run."""

    def __init__(self, site: ServedProject) -> None:
        self._site = site
        self.samples: list[dict[str, float]] = []
        self.errors: list[str] = []
        self.answers: Counter[str] = Counter()
        """How often the pages asked, by what they asked for and the status."""

    def run(self, seconds: float) -> None:
        """Start all, and take samples for so many seconds."""
        server = self._site.serve("--http", "uvicorn", "--noreload")
        worker = self._site.start("loco_worker", LOCO_LOG_LEVEL="WARNING")
        worker.wait_for("stop +Ctrl-C")
        feeder = self._site.start("shell", "--verbosity", "0", "--command", FEED)
        program = next(filter(None, map(shutil.which, PROGRAMS)))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            entrance = opened(browser, self._site, "admin", self.errors)
            context = browser.new_context(storage_state=entrance.context.storage_state())
            entrance.close()
            tabs, sessions = [context.new_page() for _ in PAGES], []
            for tab, page in zip(tabs, PAGES, strict=True):
                tab.on("pageerror", lambda error: self.errors.append(str(error)))
                tab.on("response", self._count)
                tab.goto(self._site.url(page))
                sessions.append(context.new_cdp_session(tab))
                sessions[-1].send("Performance.enable")
            self._watch({"server": server, "worker": worker, "feeder": feeder}, sessions, seconds)
            for tab in tabs:
                if tab.locator("#updated").inner_text() != "Live":
                    self.errors.append(f"{tab.url} is not live any more: {tab.locator('#away').inner_text()}")
            browser.close()
        worker.terminate()
        server.terminate()

    def _count(self, answer: Response) -> None:
        if answer.url.endswith("/changes"):
            self.answers[f"stream {answer.status}"] += 1
        elif answer.request.headers.get("accept") == "application/json":
            self.answers[f"parts {answer.status}"] += 1

    def _watch(self, processes: Mapping[str, Process], sessions: Sequence[CDPSession], seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            sample: dict[str, float] = {}
            for name, process in processes.items():
                if not process.is_running:
                    raise RuntimeError(f"The {name} has ended:\n{process.output}")
                sample |= of_process(name, process.pid)
            for name, session in zip(("overview", "jobs", "queues"), sessions, strict=True):
                sample |= of_page(name, session)
            self.samples.append(sample)
            print(f"{len(self.samples)}: {_line(sample.values())}", file=sys.stderr, flush=True)
            time.sleep(SAMPLE_SECONDS)

    def rows(self) -> Iterator[tuple[Measure, float, float, float]]:
        """Yield each measure with its first value, and its medians in the second and the last fifth."""
        fifth = max(1, len(self.samples) // 5)
        for each in MEASURES:
            values = [sample[each.name] for sample in self.samples]
            yield (
                each,
                values[0],
                statistics.median(values[fifth : 2 * fifth] or values),
                statistics.median(values[-fifth:]),
            )


def _line(values: Any) -> str:
    return " | ".join(f"{value:,.1f}".removesuffix(".0") for value in values)


@contextmanager
def site_on(store: str) -> Iterator[ServedProject]:
    """Yield the project, with its jobs on ``store``."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer() if store == "redis" else nullcontext() as redis,
        ServedProject(Path(folder)) as site,
    ):
        if redis:
            site.settings["TASKS"] = redis.setting()
        with_dashboard(site)
        site.write("pages/tasks.py", TASKS)
        site.write("site_asgi.py", ASGI)
        logging = {"version": 1, "disable_existing_loggers": False, "loggers": {"django_loco": {"level": "WARNING"}}}
        site.settings |= {
            "ASGI_APPLICATION": "site_asgi.application",
            "LOCO": {"RESULT_TTL": RESULT_TTL, "SHUTDOWN_TIMEOUT": 20},
            "LOGGING": logging | {"loggers": {**logging["loggers"], "uvicorn.access": {"level": "WARNING"}}},  # type: ignore[dict-item]
        }
        yield site


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the figures, and return 1 if something has grown."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.admin.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, metavar="N")
    parser.add_argument("--store", choices=("sqlite", "redis"), default="sqlite")
    options = parser.parse_args(arguments)
    end_on_signals()
    with site_on(options.store) as site:
        soak = Soak(site)
        soak.run(60 * options.minutes)
        ran = site.shell(RAN).split()[-1]
    print(f"{int(ran):,} jobs ran. {dict(soak.answers)}\n")
    print(f"| {options.store}, {options.minutes:g} minutes | at the start | second fifth | last fifth | |")
    print("|---|--:|--:|--:|---|")
    grown = False
    for measure, first, before, after in soak.rows():
        grows = measure.has_grown(before, after)
        grown = grown or grows
        print(f"| {measure.name} | {_line((first, before, after))} | {'**grows**' if grows else ''} |")
    for error in soak.errors:
        print(f"\n{error}")
    return int(grown or bool(soak.errors))


if __name__ == "__main__":
    sys.exit(main())
