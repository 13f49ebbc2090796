"""The lines about jobs on the console, as text and as JSON."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_loco.core.compat import TASKS_LOGGER
from django_loco.core.job import Job
from django_loco.exceptions import RAISED_INTO_JOBS
from django_loco.log import django_records, job_lines
from django_loco.log.job_lines import ConsoleJobLines, DirectStream
from django_loco.log.output.nonblocking_stream import Entry

NOW = 1_790_000_000.25
DUE = datetime.fromtimestamp(NOW - 0.015, UTC)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


class Lines:
    """A stream that asks for the text of each line at once, and keeps the last scheduled one."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.scheduled: tuple[float, Entry] | None = None

    def add(self, entry: Entry) -> None:
        text = entry if isinstance(entry, str) else entry()
        self.found += text.splitlines()

    def schedule_line(self, at: float, entry: Entry) -> None:
        self.scheduled = at, entry


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock.time)
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    return clock


@pytest.fixture
def lines(clock: Clock) -> Iterator[Lines]:
    logger = logging.getLogger(job_lines.LOGGER)
    logger.setLevel(logging.INFO)
    yield Lines()
    logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def nobody_else_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(django_records, "sees_tasks", lambda: False)


def job(**fields: Any) -> Job:
    known = {"task_path": "shop.tasks.index_product", "backend": "default", "id": "0" * 24 + "9f3a01bc"}
    return Job(**known | {"enqueued_at": DUE} | fields)


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%d/%b/%Y %H:%M:%S")


def test_a_job_that_ends_well_has_one_line(lines):
    shown = ConsoleJobLines(lines)
    shown.started(job())
    shown.done(job(), 0.012)
    assert lines.found == [
        f"[worker]    [{stamp(NOW)}] index_product#9f3a01bc/1 done in 12 ms, waited 3 ms",
    ]


def test_asked_for_it_the_start_has_one_too(lines):
    shown = ConsoleJobLines(lines, shows_starts=True)
    shown.started(job())
    assert lines.found == [f"[worker]    [{stamp(NOW)}] index_product#9f3a01bc/1 started, waited 15 ms"]


def test_the_second_attempt_waits_from_when_it_is_due_and_the_request_is_named(lines):
    second = job(
        run_after=DUE + timedelta(seconds=0.010), worker_ids=("w",), options={"request_id": "0198f3a1c2d37e5f0c77de"}
    )
    ConsoleJobLines(lines).done(second, 0.001)
    assert lines.found[0].endswith("] index_product#9f3a01bc/2 request=5f0c77de done in 1 ms, waited 4 ms")


def test_in_json_the_line_has_fields(lines):
    ConsoleJobLines(lines, form="json").done(job(options={"request_id": 'a"b'}), 0.0123)
    assert json.loads(lines.found[0]) == {
        "time": datetime.fromtimestamp(NOW, UTC).isoformat(),
        "level": "INFO",
        "logger": "django_loco.jobs",
        "message": "done in 12 ms, waited 3 ms",
        "component": "worker",
        "job_id": job().id,
        "task": "shop.tasks.index_product",
        "attempt": 1,
        "request_id": 'a"b',
        "duration": 0.0123,
        "waited": 0.0027,
    }


def test_no_text_from_elsewhere_looks_like_a_line(lines):
    forged = job(task_path="a.b\n[worker] c", options={"request_id": "x\x1b[2J"})
    ConsoleJobLines(lines).done(forged, 0.1)
    ConsoleJobLines(lines, form="json").done(forged, 0.1)
    assert len(lines.found) == 2
    assert "\x1b" not in "".join(lines.found)
    assert json.loads(lines.found[1])["task"] == forged.task_path


def test_a_clock_that_is_ahead_of_this_one_makes_no_negative_wait(lines):
    ConsoleJobLines(lines).done(job(enqueued_at=DUE + timedelta(hours=1)), 0.0)
    assert lines.found[0].endswith("done in 0.0 ms, waited 0.0 ms")


@pytest.mark.parametrize("form", ["text", "json"])
def test_of_too_many_in_a_second_one_line_tells_the_number(lines, clock, form):
    shown = ConsoleJobLines(lines, limit=3, form=form)
    for _ in range(5):
        shown.done(job(), 0.0)
    assert len(lines.found) == 3
    assert lines.scheduled is not None
    assert int(NOW) + 1 <= lines.scheduled[0] < int(NOW) + 1.1
    clock.now = NOW + 1
    shown.done(job(), 0.0)
    assert len(lines.found) == 5
    assert "2 more in the last second" in lines.found[3]
    assert "done in" in lines.found[4]
    assert lines.scheduled[1]() == ""  # type: ignore[operator]


def test_the_number_is_told_without_a_further_job_too(lines):
    shown = ConsoleJobLines(lines, limit=1, form="text")
    for _ in range(3413):
        shown.done(job(), 0.0)
    assert lines.scheduled is not None
    lines.add(lines.scheduled[1])
    assert lines.found[1:] == [f"[worker]    [{stamp(int(NOW) + 1)}] 3,412 more in the last second"]


def test_each_is_counted_though_many_threads_end_jobs(lines, clock):
    shown = ConsoleJobLines(lines, limit=1)
    shown.done(job(), 0.0)
    shown.done(job(), 0.0)

    def end_many() -> None:
        for _ in range(500):
            shown.done(job(), 0.0)

    threads = [threading.Thread(target=end_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for second in (1, 2):
        clock.now = NOW + second
        shown.done(job(), 0.0)
    assert [line.partition("] ")[2].strip().partition("] ")[2] for line in lines.found if "more" in line] == [
        "4,001 more in the last second"
    ]


def test_a_clock_that_is_set_back_silences_nothing(lines, clock):
    shown = ConsoleJobLines(lines, limit=1)
    for _ in range(2):
        shown.done(job(), 0.0)
    clock.now = NOW - 3600
    shown.done(job(), 0.0)
    assert "done in" in lines.found[-1]


def test_without_a_limit_none_is_left_out(lines):
    shown = ConsoleJobLines(lines, limit=None)
    for _ in range(20_000):
        shown.done(job(), 0.0)
    assert len(lines.found) == 20_000


@pytest.mark.parametrize("name", [job_lines.LOGGER, "django_loco", TASKS_LOGGER])
def test_the_level_of_a_logger_silences_them(lines, name):
    logging.getLogger(job_lines.LOGGER).setLevel(logging.NOTSET)
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.WARNING)
    ConsoleJobLines(lines).done(job(), 0.0)
    logger.setLevel(before)
    assert lines.found == []


def test_a_handler_of_the_project_that_shows_djangos_lines_replaces_them(lines, monkeypatch):
    monkeypatch.setattr(django_records, "sees_tasks", lambda: True)
    ConsoleJobLines(lines).done(job(), 0.0)
    assert lines.found == []


def test_a_stream_without_a_descriptor_gets_each_line_at_once(lines):
    stream = io.StringIO()
    shown = ConsoleJobLines(DirectStream(stream), limit=1)
    shown.done(job(), 0.0)
    shown.done(job(), 0.0)
    assert stream.getvalue().count("\n") == 1
    stream.close()
    shown.done(job(), 0.0)


@pytest.mark.parametrize("interruption", RAISED_INTO_JOBS)
def test_an_interruption_comes_through_a_stream_without_a_descriptor(interruption):
    """As in a job that runs another one inside ``enqueue()``."""

    def interrupt() -> str:
        raise interruption

    with pytest.raises(interruption):
        DirectStream(io.StringIO()).add(interrupt)


def test_nothing_is_shown_where_no_console_was_set_up(lines):
    job_lines.show_job_lines(None)
    job_lines.done(job(), 0.0)
    job_lines.show_job_lines(ConsoleJobLines(lines))
    job_lines.started(job())
    job_lines.done(job(), 0.0)
    job_lines.show_job_lines(None)
    assert ["done in" in line for line in lines.found] == [True]
