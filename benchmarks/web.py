"""How jobs slow down web pages: ``python -m benchmarks.web [--help]``.

gunicorn has one process with threads, and a worker in it or none. Requests come at ``RATE`` per second, whether or not
those before were answered: a response time counts from the moment when the request was due. A round takes each ``Case``
once, in an order of its own, so that noise of the machine meets all alike.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import random
import socket
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from tests.processes import free_port

from .environments import Environment
from .measures import percentile
from .stores import Stores
from .systems.loco import SYSTEMS
from .trial import Choices, Marks, Trial

ROUNDS = 7
#: Requests per second, who sends them, and for how many seconds if no jobs say when it is over.
RATE, SENDERS, SECONDS = 50, 16, 8.0
#: Requests that come before, so that the site is there and warm.
WARM_UP = 100
#: Seconds until the jobs are due: they have to be enqueued and the server to be there, which has half of it.
START = 12.0
NANO = 1e9
OPTIONS = ("--bind", "127.0.0.1:{width}", "--threads", "8", "--config", "python:django_loco.servers.gunicorn")


@dataclass(frozen=True, kw_only=True)
class Case:
    """What runs beside each other."""

    name: str
    kind: str = ""
    """Of the jobs, one of ``KINDS`` in ``projects/web_site.py``; none: there is not even a worker."""

    count: int = 0
    requests: bool = True


CASES = (
    Case(name="the page alone"),
    Case(name="empty jobs alone", kind="empty", count=20_000, requests=False),
    Case(name="the page beside empty jobs", kind="empty", count=20_000),
    Case(name="computing jobs alone", kind="compute", count=400, requests=False),
    Case(name="the page beside computing jobs", kind="compute", count=400),
)


@dataclass(frozen=True)
class Sample:
    """One round of one case."""

    times: Sequence[float]
    """Response times in milliseconds."""

    rate: float
    """Jobs per second."""


class Load:
    """Sends requests at a steady pace, each by whoever is free, until it is told to end."""

    def __init__(self, port: int, begin: float) -> None:
        """``begin``: when the first one is due (``time.monotonic()``, seconds)."""
        self.times: list[float] = []
        self._port = port
        self._dues = (begin + number / RATE for number in itertools.count())
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._senders = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for sender in self._senders:
            sender.start()

    def end(self) -> None:
        """Send no more, and wait for the answers."""
        self._end.set()
        for sender in self._senders:
            sender.join()

    def _send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while True:
            with self._lock:
                due = next(self._dues)
            if self._end.wait(due - time.monotonic()):
                break
            _ask(connection)
            self.times.append((time.monotonic() - due) * 1000)
        connection.close()


def _ask(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/")
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise RuntimeError(f"The page answers {response.status}")
    response.read()


def measure(case: Case, stores: Stores) -> Sample:
    """Start a server with what ``case`` wants beside it, on an empty database."""
    base = next(system for system in SYSTEMS if system.store == "sqlite")
    port = free_port()
    due = time.time() + START
    environ = {"LOCO_START": "--worker" if case.kind else "", "BENCH_DUE": str(due)}
    system = replace(
        base,
        jobs="web_site",
        worker=("gunicorn", *OPTIONS, "web_site"),
        settings={**base.settings, "ROOT_URLCONF": "web_site", "ALLOWED_HOSTS": ["127.0.0.1"]},
        environ={**base.environ, **environ},
    )
    trial = Trial(system, stores["sqlite"], "web", Choices())
    if case.count:
        trial.enqueue(case.kind, case.count)
    with trial.worker(port):
        _warm_up(port)
        rest = due - time.time()
        if rest < 0:
            raise RuntimeError("The server came up too late")
        load = Load(port, time.monotonic() + rest) if case.requests else None
        marks = _watch(trial, rest)
        if load:
            load.end()
    return Sample(load.times if load else (), marks.rate)


def _watch(trial: Trial, rest: float) -> Marks:
    if trial.count:
        return trial.wait()
    time.sleep(rest + SECONDS)
    return trial.marks()


def _warm_up(port: int) -> None:
    deadline = time.monotonic() + START / 2
    while not _listens(port):
        if time.monotonic() > deadline:
            raise RuntimeError("The server does not come up")
        time.sleep(0.05)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(WARM_UP):
        _ask(connection)
    connection.close()


def _listens(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def table(samples: dict[str, list[Sample]]) -> str:
    """Return the figures as Markdown: medians over the rounds."""
    lines = ["| | p50, ms | p99, ms | jobs/s |", "|---|---|---|---|"]
    for name, rounds in samples.items():
        figures = [_median([percentile(part)(one.times) for one in rounds if one.times], 1) for part in (0.5, 0.99)]
        lines.append(f"| {name} | {' | '.join(figures)} | {_median([one.rate for one in rounds if one.rate], 0)} |")
    return "\n".join(lines)


def _median(figures: Sequence[float], digits: int) -> str:
    return f"{statistics.median(figures):,.{digits}f}" if figures else ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="how often each case is measured")
    options = parser.parse_args(arguments)
    Environment(SYSTEMS[0]).ensure()
    samples: dict[str, list[Sample]] = defaultdict(list)
    with Stores() as stores:
        for number in range(options.rounds):
            for case in random.sample(CASES, len(CASES)):
                sample = measure(case, stores)
                samples[case.name].append(sample)
                print(f"{number + 1} {table({case.name: [sample]}).splitlines()[-1]}", file=sys.stderr, flush=True)
    print(table({case.name: samples[case.name] for case in CASES}))


if __name__ == "__main__":
    main()
