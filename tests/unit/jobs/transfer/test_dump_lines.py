"""The lines of a dump: every field, to the letter, and what is wrong with a line."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone

import pytest

import django_loco
from django_loco.core.job import FAILED, RUNNING, SUCCESSFUL, UNREADABLE, Job, error_of
from django_loco.exceptions import JobTimeout
from django_loco.jobs.transfer.dump_lines import (
    JSON_FIELDS,
    MARK,
    TIMES,
    VERSION,
    NotJSON,
    header,
    job_and_log_of,
    line_of,
    require_header,
)
from django_loco.queues.rows import FIELDS
from django_loco.testing.contract.enqueueing import NASTY
from tests.unit.jobs.conftest import make_job

FULL = Job(
    task_path="shop.tasks.send",
    backend="default",
    id="01a220e4884f7d2ba19ca3780b5165c2",
    arguments='[[1.10,12345678901234567890123,1e400],{"ä":"\\ud800"}]',
    queue_name="e-mails 'ü'",
    priority=-100,
    is_async=True,
    run_after=datetime(9998, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
    expires_at=datetime(9998, 12, 31, 23, 59, 59, 2, tzinfo=UTC),
    enqueued_at=datetime(1970, 1, 1, tzinfo=UTC),
    tags=("a", 'b "c"'),
    options={"text": NASTY, "backoff": [1, 2.5]},
    key="s@1",
    unique_key="5" * 64,
    unique_until="started",
    limit_key="api:42 db",
    status=RUNNING,
    started_at=datetime(2026, 11, 21, 5, 42, tzinfo=UTC),
    last_attempted_at=datetime(2026, 11, 21, 5, 42, 7, 123456, tzinfo=UTC),
    finished_at=datetime(2026, 11, 21, 5, 43, tzinfo=UTC),
    worker_ids=("w1", "", "", "w2"),
    errors=(error_of(JobTimeout, "too slow\n"),),
    lost=2,
    return_value='{"a": 1}',
    checkpoint="[1]",
    metadata='{"b":2}',
    progress='{"done":1}',
    batch="b1",
    steps='{"s":1}',
    waits='{"a":["signal",null]}',
    signals='{"a":{"value":1}}',
    token="t",
    worker_id="w3",
)


def job_of(line: bytes) -> Job:
    return job_and_log_of(line)[0]


def test_every_field_makes_the_round_trip():
    defaults = Job(task_path="", backend="")
    unset = [each.name for each in fields(Job) if getattr(FULL, each.name) == getattr(defaults, each.name)]
    assert unset == [], "give each field a value above"
    assert job_of(line_of(FULL).encode()) == FULL
    assert line_of(job_of(line_of(FULL).encode())) == line_of(FULL)


@pytest.mark.parametrize("status", [FAILED, SUCCESSFUL])
def test_fields_that_are_not_set_stay_so(status):
    job = make_job(status=status)
    assert job_of(line_of(job).encode()) == job


def test_a_line_is_one_line_of_ascii_with_times_in_full():
    line = line_of(FULL)
    assert line.isascii()
    assert line.isprintable()
    values = json.loads(line)
    assert list(values) == [each.name for each in fields(Job)]
    assert values["arguments"] == FULL.arguments
    assert values["last_attempted_at"] == "2026-11-21T05:42:07.123456+00:00"
    assert values["started_at"] == "2026-11-21T05:42:00.000000+00:00"
    assert (values["tags"], values["is_async"]) == (["a", 'b "c"'], True)
    assert values["worker_ids"] == ["w1", 2, "w2"]


def test_all_times_and_all_json_are_known():
    assert set(TIMES) == {"run_after", "expires_at", "enqueued_at", "started_at", "last_attempted_at", "finished_at"}
    texts = {name for name, form in FIELDS.items() if form.write and name not in TIMES and name != "status"}
    assert texts == set(JSON_FIELDS)


def test_times_in_other_zones_are_understood():
    values = json.loads(line_of(FULL)) | {"enqueued_at": "2026-11-21T07:00:00+02:00"}
    job = job_of(json.dumps(values).encode())
    assert job.enqueued_at == datetime(2026, 11, 21, 7, tzinfo=timezone(timedelta(hours=2)))
    assert job.enqueued_at.tzinfo is UTC


def test_fields_that_an_older_release_lacks_are_not_set():
    values = {name: value for name, value in json.loads(line_of(FULL)).items() if name not in ("metadata", "key")}
    job = job_of(json.dumps(values).encode())
    assert (job.metadata, job.key, job.checkpoint) == (None, None, "[1]")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"priority": "7"}, r"priority is '7': it is str"),
        ({"priority": 1 << 15}, r"priority is 32768; it must be from -32768 to 32767"),
        ({"lost": -(10**400)}, r"lost is -1000.*it must be from"),
        ({"enqueued_at": "yesterday"}, "enqueued_at is 'yesterday': Invalid isoformat"),
        ({"status": "DONE"}, "status is 'DONE'"),
        ({"tags": ["a", 1]}, "tags is .*not a list of texts"),
        ({"errors": [{"traceback": "x"}]}, "errors is"),
        ({"worker_ids": [-1]}, "worker_ids is"),
        ({"options": []}, "options is .*not a JSON object"),
        ({"id": "01A220E4884F7D2BA19CA3780B5165C2"}, "32 hexadecimal digits"),
        ({"id": "x\ny"}, "32 hexadecimal digits"),
        ({"queue_name": "\ud800"}, "queue_name is .*with half a character"),
        ({"queue_name": "x" * 201}, "may have 200 characters each, and it may have 100 tags"),
        ({"tags": ["x" * 201]}, "may have 200 characters each"),
        ({"tags": ["x"] * 101}, "may have 100 tags"),
        ({"checkpoint": "[1,\n2]"}, "checkpoint is .*on one line"),
        ({"metadata": "{\t}"}, "metadata is .*on one line"),
        ({"colour": "red"}, "does not know 'colour'"),
        ({"task_path": UNREADABLE}, "could not be read"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(changes, error):
    with pytest.raises(ValueError, match=error):
        job_of(json.dumps(json.loads(line_of(FULL)) | changes).encode())


@pytest.mark.parametrize("line", [b"", b"{", line_of(FULL)[:-7].encode(), b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_told_apart(line):
    with pytest.raises(NotJSON, match="it is not JSON"):
        job_of(line)


@pytest.mark.parametrize(("line", "error"), [(b"7", "not a JSON object"), (b'{"id":"1"}', "it lacks task_path, back")])
def test_other_json_is_no_job(line, error):
    with pytest.raises(ValueError, match=error):
        job_of(line)


def test_the_header_names_format_release_and_aliases():
    """Only a dump with batches needs the newer format."""
    for has_batches, version in ((False, 1), (True, 2)):
        line = header(["a", "b"], has_batches=has_batches)
        assert json.loads(line) == {MARK: version, "release": django_loco.__version__, "backends": ["a", "b"]}
        require_header(line.encode())


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"id,state", line_of(FULL).encode()])
def test_other_files_are_no_dumps(line):
    with pytest.raises(ValueError, match="not a dump"):
        require_header(line)


def test_a_newer_format_is_refused_with_its_release():
    line = json.dumps({MARK: VERSION + 1, "release": "9.1.0", "backends": []}).encode()
    with pytest.raises(ValueError, match=r"format 3, newer than this release.*Release '9\.1\.0' of django-loco"):
        require_header(line)


LOG = '{"text":"one\\ntwo"}\n{"text":"\\u00e4"}'


def test_kept_logs_make_the_round_trip():
    assert job_and_log_of(line_of(FULL, LOG).encode()) == (FULL, LOG)
    assert job_and_log_of(line_of(FULL).encode()) == (FULL, None)
    assert "log" not in json.loads(line_of(FULL))


@pytest.mark.parametrize("log", ["", "x", "[]", "7", 7, {}, "{}\n", "{}\n\n{}", '{"a":\t1}', '{"a":"\u00e4"}'])
def test_logs_that_would_harm_a_store_are_refused(log):
    with pytest.raises(ValueError, match=r"log is .*; it must be JSON objects in ASCII, each on a line"):
        job_of(json.dumps(json.loads(line_of(FULL)) | {"log": log}).encode())
