"""A dump of what a search finds."""

from __future__ import annotations

from dataclasses import replace

from django_loco import jobs
from django_loco.core.job import UNREADABLE
from django_loco.jobs.transfer.dump_lines import header, job_and_log_of
from django_loco.jobs.transfer.dumping import Dump


def test_a_dump_has_a_header_and_a_line_per_job(stored, queue):
    for state in ("waiting", "failed", "done", "running"):
        stored(state)
    made = queue.list()
    dump = Dump(["default"], jobs.filter())
    first, *lines = dump
    assert first == header(["default"])
    assert [job_and_log_of(line.encode()) for line in lines] == [(job, None) for job in made]
    assert (dump.number, dump.unreadable) == (4, [])


def test_what_cannot_be_read_is_left_out_and_named(stored):
    job = stored()
    broken = replace(job, id="0" * 32, task_path=UNREADABLE)
    dump = Dump(["default"], [broken, job])
    assert len([*dump]) == 2
    assert (dump.number, dump.unreadable) == (1, ["0" * 32])
