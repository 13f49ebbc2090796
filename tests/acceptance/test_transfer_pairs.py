"""Jobs with values in every field go through a dump from any store to any other one, and are equal to the letter.

``make chaos`` does it with 100,000 jobs, and prints how many a second it were.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from django_loco.core.job import FAILED, READY, SUCCESSFUL, Job, error_of, first_id, new_id
from django_loco.jobs.transfer.dump_lines import header, line_of

from .chaos import SCALE
from .ticks_sites import STORES, Sites, TickSite

pytestmark = pytest.mark.storm

JOBS = 100_000 if SCALE > 1 else 1_500
SECONDS = 1_500.0
NASTY = 'line\nbreak\ttab "quote" \\ \u2028 \U0001f682 %s \x1f'
START = datetime(2026, 11, 21, 5, 42, 7, 123456, tzinfo=UTC)


@pytest.fixture
def sites(tmp_path: Path, migrated_file: bytes) -> Iterator[Sites]:
    with Sites(tmp_path, migrated_file) as sites:
        yield sites


def dump(path: Path, count: int) -> bytes:
    """Write the dump of jobs that this test makes up, as a store would; return it."""
    draw = random.Random(42)
    newest = [job_of(number, draw) for number in range(count, 0, -1)]
    path.write_text("".join(f"{line}\n" for line in [header(["default"]), *map(line_of, newest)]))
    return path.read_bytes()


def job_of(number: int, draw: random.Random) -> Job:
    """Return a job that waits or has ended, in which each optional field has a value by chance."""
    at = START + timedelta(milliseconds=7 * number, microseconds=number % 1000)
    status = draw.choice((READY, FAILED, SUCCESSFUL))
    job = Job(
        id=first_id(at)[:12] + new_id()[12:],
        task_path=draw.choice(("tests.app.tasks.add", "gone.tasks.gone")),
        backend="default",
        queue_name=draw.choice(("default", "emails")),
        priority=draw.randint(-100, 100),
        is_async=draw.random() < 0.5,
        enqueued_at=at,
        status=status,
    )
    given = {name: value for name, value in optional(number, at).items() if draw.random() < 0.5}
    if status == READY:
        given.pop("batch", None)  # a member that waits needs its batch
    else:
        given |= {"finished_at": at + timedelta(seconds=9), "started_at": at, "last_attempted_at": at}
    if status == SUCCESSFUL:
        given |= {"return_value": f'{{"a":{number}}}', "checkpoint": None}
    if "unique_key" in given:
        given["unique_until"] = "finished"
    return replace(job, **given)


def optional(number: int, at: datetime) -> dict[str, Any]:
    """Return values for the fields that a job need not have."""
    return {
        "arguments": f'[[{number},"\\ud83d\\ude82"],{{"text":"a\\nb"}}]',
        "run_after": at + timedelta(days=3650, microseconds=1),
        "expires_at": at + timedelta(days=3651),
        "tags": ("a", 'b "c"', NASTY),
        "options": {"text": NASTY, "backoff": [1, 2.5]},
        "key": f"series@{number}",
        "unique_key": f"{number:064x}",
        "limit_key": "api:42 db",
        "worker_ids": ("w1", "", "", "w2"),
        "errors": (error_of(ValueError, NASTY), error_of(TimeoutError, "30 s")),
        "lost": 2,
        "checkpoint": "[1]",
        "metadata": '{"b":2}',
        "progress": '{"done":1}',
        "batch": "b1",
        "steps": '{"s":1}',
        "waits": '{"a":["signal",null]}',
        "signals": '{"a":{"value":1}}',
    }


def run(site: TickSite, *arguments: str) -> float:
    """Run a command to its end; return how many seconds it has taken."""
    began = time.perf_counter()
    process = site.start(*arguments)
    assert process.wait(SECONDS) == 0, process.output
    return time.perf_counter() - began


@pytest.mark.timeout(3 * SECONDS)
def test_each_store_dumps_what_any_other_one_has_dumped(sites, tmp_path):
    """All dump what they have imported to the letter, so it does not matter which of them has written a dump."""
    wanted = dump(made_up := tmp_path / "made-up", JOBS)
    for store in STORES:
        with sites.make(store) as site:
            path = tmp_path / f"of-{store}"
            imported = run(site, "loco_jobs", "import", str(made_up), "--yes")
            dumped = run(site, "loco_jobs", "dump", "--output", str(path))
        assert path.read_bytes() == wanted, store
        print(f"{store}: imports {JOBS / imported:,.0f} jobs/s, dumps {JOBS / dumped:,.0f} jobs/s")
