"""The lines of a dump that have batches: read as they were written, and mistakes in them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from django_loco.core.job import new_id, utcnow
from django_loco.jobs.transfer.batch_lines import MARK, batch_of, is_batch, line_of_batch
from django_loco.jobs.transfer.dump_lines import line_of
from django_loco.queues.records.batches import WORKFLOW, BatchCounts, new_record
from tests.unit.jobs.conftest import make_job

BATCH = new_record(new_id(), "default", "import 'ü'\t\n", '{"finish":"{}"}', '{"a":1}')


@pytest.mark.parametrize(
    "batch",
    [BATCH, replace(BATCH, kind=WORKFLOW, finished_at=utcnow(), sealed_at=utcnow(), round=2, counts=BatchCounts(3, 1))],
)
def test_a_batch_is_read_as_it_was_written(batch):
    line = line_of_batch(batch).encode()
    assert is_batch(line)
    assert line.isascii()
    assert batch_of(line) == batch


def test_a_job_is_no_batch():
    assert not is_batch(line_of(make_job()).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x"},
        {"name": 7},
        {"name": "\ud800"},
        {"kind": "letter"},
        {"created_at": None},
        {"created_at": "2026-11-21T00:00:00"},
        {"sealed_at": "soon"},
        {"counts": [1]},
        {"counts": [-1, 0, 0, 0]},
        {"round": "1"},
    ],
)
def test_a_mistake_is_said(change):
    values = json.loads(line_of_batch(BATCH))[MARK] | change
    with pytest.raises(ValueError, match=r"^(it is no batch that can be read|id is 'x'; it must be 32)"):
        batch_of(json.dumps({MARK: values}).encode())


def test_a_line_that_lacks_a_field_is_said():
    with pytest.raises(ValueError, match=r"^it is no batch that can be read: KeyError\('id'\)"):
        batch_of(f'{{"{MARK}":{{}}}}'.encode())
