"""What open pages of the dashboard cost a worker at full rate: ``python -m benchmarks.dashboard [--help]``.

A server on ASGI and a worker have the same store. Each tab is a browser of its own, which asks for the overview as the
script of the page does: every two seconds, or when the stream says so. A round takes each case once, in an order of its
own, so that noise of the machine meets all alike. On a machine whose cores are all busy the rate falls by the processor
time that the server takes, so that is measured as well: it is less noisy.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.admin.stream_site import StreamClient, session_of, with_dashboard
from tests.acceptance.servers import ServedProject
from tests.children import end_on_signals
from tests.postgres import Server
from tests.redis_server import RedisServer

from .arguments import names_among

ROUNDS, JOBS = 5, 20_000
#: Seconds between two requests of a page, and how much longer than its answer took.
EVERY, SHARE = 2.0, 10
TICKS = os.sysconf("SC_CLK_TCK")
STORES = ("sqlite", "postgres", "redis")
TASKS = """
import itertools, os, time
from django_loco.tasks import task
COUNT, DONE = int(os.environ["BENCH_JOBS"]), itertools.count(1)

@task
def work(number):
    done = next(DONE)
    if done in (1, COUNT):
        os.write(1, f"mark {time.monotonic()} {time.process_time()}\\n".encode())
"""
ENQUEUE = """
from django_loco.tasks import enqueue_many
from pages.tasks import work
for first in range(0, {count}, 1000):
    enqueue_many(work, range(first, min({count}, first + 1000)))
"""
CLEAR = "from django_loco.jobs.stores import queue_of\nqueue_of('default').clear()"
MARK = r"^mark ([\d.]+) ([\d.]+)"
POSTGRES = {"ENGINE": "django.db.backends.postgresql", "NAME": "site", "USER": "loco", "HOST": "127.0.0.1"}


@dataclass(frozen=True)
class Case:
    """What is open beside the worker."""

    tabs: int
    streams: bool

    def __str__(self) -> str:
        return f"{self.tabs} {'with streams' if self.streams else 'that ask'}" if self.tabs else "none"


CASES = (Case(0, False), Case(1, False), Case(1, True), Case(20, False), Case(20, True))


@dataclass(frozen=True)
class Sample:
    """One round of one case."""

    rate: float
    """Jobs per second."""

    worker: float
    """Microseconds of processor time that the worker takes for a job."""

    server: float
    """Per cent of a core that the server takes."""


class Tab:
    """Asks as the script of a page does, in a thread."""

    def __init__(self, site: ServedProject, session: str, *, streams: bool) -> None:
        self._port = site.port
        self._headers = {"Cookie": f"sessionid={session}", "Accept": "application/json"}
        self._stream = StreamClient(site, session) if streams else None
        self._open = (lambda last: StreamClient(site, session, last)) if streams else None
        self._end, self._etag = threading.Event(), ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._end.set()
        self._thread.join()
        if self._stream:
            self._stream.close()

    def _run(self) -> None:
        pause = EVERY * random.random()
        while not self._end.wait(pause):
            began = time.monotonic()
            if self._is_news():
                self._ask()
            pause = max(EVERY, SHARE * (time.monotonic() - began)) * random.uniform(0.9, 1.1)

    def _is_news(self) -> bool:
        """Return whether there may be something new: always without a stream."""
        if self._stream is None or self._open is None:
            return True
        if self._stream.has_ended:
            last = self._stream.marks[-1] if self._stream.marks else ""
            self._stream.close()
            self._stream = self._open(last)
        return not self._stream.marks or not self._etag.startswith(f'"{self._stream.marks[-1]}.')

    def _ask(self) -> None:
        known = {"If-None-Match": self._etag} if self._etag else {}
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)) as connection:
            connection.request("GET", "/jobs/", headers={**self._headers, **known})
            answer = connection.getresponse()
            answer.read()
        if answer.status not in (http.client.OK, http.client.NOT_MODIFIED):
            raise RuntimeError(f"The page answers {answer.status}")
        self._etag = answer.headers["ETag"]


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(site: ServedProject, case: Case, count: int) -> Sample:
    """Drain ``count`` jobs beside the tabs of ``case``."""
    site.shell(CLEAR)
    site.shell(ENQUEUE.format(count=count))
    server = site.serve("--http", "uvicorn", "--noreload", BENCH_JOBS="0")
    session = session_of(site)
    with ExitStack() as tabs:
        for _ in range(case.tabs):
            tabs.enter_context(closing(Tab(site, session, streams=case.streams)))
        time.sleep(EVERY)  # all have asked once
        worker = site.start("loco_worker", BENCH_JOBS=str(count))
        first = worker.wait_for(MARK, timeout=60)
        before = processor_seconds(server.pid)
        last = worker.wait_for(MARK, timeout=300, count=2)
        used = processor_seconds(server.pid) - before
    worker.terminate()
    server.terminate()
    seconds, processor = (float(last[each]) - float(first[each]) for each in (1, 2))
    return Sample((count - 1) / seconds, 1e6 * processor / (count - 1), 100 * used / seconds)


@contextmanager
def site_on(store: str) -> Iterator[ServedProject]:
    """Yield a site with its jobs on ``store``, and its users in SQLite or the same PostgreSQL."""
    with ExitStack() as stack:
        site = stack.enter_context(ServedProject(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        if store == "postgres":
            server = stack.enter_context(closing(Server()))
            server.start()
            server.create_database("site")
            site.settings["DATABASES"] = {"default": {**POSTGRES, "PORT": str(server.port)}}
        if store == "redis":
            site.settings["TASKS"] = stack.enter_context(RedisServer()).setting()
        site.write("pages/tasks.py", TASKS)
        os.environ["BENCH_JOBS"] = "0"
        with_dashboard(site)
        quiet = {"level": "WARNING"}
        site.settings["LOGGING"] = {
            "version": 1,
            "disable_existing_loggers": False,
            "loggers": {"django_loco.jobs": quiet, "uvicorn.access": quiet},
        }
        yield site


def table(store: str, samples: dict[Case, list[Sample]]) -> Iterator[str]:
    """Yield the figures of a store as Markdown: medians over the rounds, and of the losses within each round."""
    alone = samples[CASES[0]]
    for case, rounds in samples.items():
        loss = statistics.median(100 * (1 - each.rate / other.rate) for each, other in zip(rounds, alone, strict=True))
        rate, worker, server = (
            statistics.median(getattr(each, name) for each in rounds) for name in Sample.__annotations__
        )
        yield f"| {store} | {case} | {rate:,.0f} | {loss if case.tabs else 0:.1f} % | {worker:.0f} | {server:.1f} % |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="how often each case is measured")
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N", help="how many jobs a round drains")
    parser.add_argument("--stores", type=names_among(STORES), default=STORES, metavar="A,B")
    options = parser.parse_args(arguments)
    end_on_signals()
    print("| store | open pages | jobs/s | less | worker, µs per job | server, of a core |\n|---|---|--:|--:|--:|--:|")
    for store in options.stores:
        samples: dict[Case, list[Sample]] = defaultdict(list)
        with site_on(store) as site:
            for number in range(options.rounds):
                for case in random.sample(CASES, len(CASES)):
                    samples[case].append(measure(site, case, options.jobs))
                    print(f"{store} {number + 1} {case}: {samples[case][-1]}", file=sys.stderr, flush=True)
        print("\n".join(table(store, {case: samples[case] for case in CASES})), flush=True)


if __name__ == "__main__":
    main()
