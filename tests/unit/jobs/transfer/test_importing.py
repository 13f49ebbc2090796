"""Imports of dumps: what becomes of each job, mistakes, and running an import again."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from django_loco import jobs
from django_loco.core.job import FAILED, READY, SUCCESSFUL, utcnow
from django_loco.exceptions import QueueRefused, QueueUnavailable, Unfinished
from django_loco.jobs.transfer import importing
from django_loco.jobs.transfer.dump_lines import line_of
from django_loco.jobs.transfer.dumping import Dump
from django_loco.jobs.transfer.importing import SHOWN, BrokenLine, Import
from django_loco.jobs.transfer.parking import gone, parked
from django_loco.queues import queue_for
from tests.unit.jobs.conftest import found, make_job


def dumped(*lines: str) -> io.BytesIO:
    """Return a dump of all jobs, and more lines."""
    return io.BytesIO("".join(f"{line}\n" for line in (*Dump(["default"], jobs.filter()), *lines)).encode())


def imported(file: io.BytesIO, **given):
    """Return the report of an import."""
    wanted = Import(file=file, **given)
    wanted.check()
    return [*wanted.run()][-1]


def test_jobs_are_stored_as_they_were(stored, queue):
    for state in ("waiting", "scheduled", "failed", "done"):
        stored(state)
    made, file = queue.list(), dumped()
    queue.clear()
    report = imported(file)
    assert queue.list() == made
    assert (report.jobs, report.finished, report.existing, report.aliases) == (4, 2, 0, {"default": 4})


def test_what_was_running_is_ready_again(stored, queue):
    job = stored("running")
    file = dumped()
    queue.clear()
    assert imported(file).finished == 0
    assert found(queue, job) == replace(job, status=READY, token=None, worker_id=None)


def test_what_exists_is_left_alone(stored, queue):
    running = stored("running")
    stored("done")
    report = imported(dumped(line_of(twice := make_job()), line_of(twice)))
    assert (report.jobs, report.existing) == (1, 3)
    assert found(queue, running) == running


def test_a_check_that_asks_the_stores_counts_what_exists(stored, queue):
    stored("done")
    file = dumped(line_of(make_job()))
    for asks, numbers in ((True, (1, 0, 1)), (False, (2, 1, 0))):
        report = Import(file=file).check(asks_stores=asks)
        assert (report.jobs, report.finished, report.existing) == numbers
    assert len(queue.list()) == 1


def test_finished_jobs_can_be_left_out(stored, queue):
    stored("done")
    waiting = stored()
    file = dumped()
    queue.clear()
    report = imported(file, finished="skip")
    assert (report.jobs, report.left_out) == (1, 1)
    assert queue.list() == [waiting]


def test_finished_jobs_can_run_once_more(stored, queue):
    done = stored("done")
    file = dumped()
    queue.clear()
    assert imported(file, finished="rerun").finished == 0
    again = found(queue, done)
    assert (again.status, again.finished_at, again.return_value, again.attempt) == (READY, None, None, 2)
    assert again.run_after <= utcnow()


#: What a run has left behind.
LEFT = {"steps": '{"a":1}', "waits": "{}", "signals": "{}", "progress": '{"done":1}'}


def test_a_job_that_has_succeeded_does_its_steps_again_and_a_failed_one_goes_on(queue):
    done = make_job(status=SUCCESSFUL, finished_at=utcnow(), metadata='{"m":1}', **LEFT)
    failed = make_job(status=FAILED, finished_at=utcnow(), **LEFT)
    imported(dumped(line_of(done), line_of(failed)), finished="rerun")
    assert {name: getattr(found(queue, done), name) for name in LEFT} == dict.fromkeys(LEFT)
    assert found(queue, done).metadata == '{"m":1}'
    assert {name: getattr(found(queue, failed), name) for name in LEFT} == LEFT


def test_what_stays_of_a_job_in_another_store_does_not_run_again(queue):
    rest = gone(parked(make_job(key="nightly@1"), "other"))
    file = dumped(line_of(rest), line_of(make_job()))
    report = imported(file, finished="rerun")
    assert (report.jobs, report.left_out) == (1, 1)
    assert queue.get(rest.id) is None


def test_jobs_can_go_to_another_alias(stored, queue):
    job = stored("failed")
    report = imported(dumped(), backend="other")
    assert report.aliases == {"other": 1}
    assert found(queue_for("other"), job) == replace(job, backend="other")


def test_a_parked_job_stays_so_in_its_alias_and_waits_in_another_one(queue):
    job = make_job()
    file = dumped(line_of(parked(job, "third")))
    imported(file)
    assert found(queue, job) == parked(job, "third")
    imported(file, backend="other")
    assert found(queue_for("other"), job) == replace(job, backend="other")


def test_a_wrong_alias_is_an_error_at_once(stored):
    stored()
    with pytest.raises(ValueError, match=r"^TASKS\['x'\] has no jobs"):
        Import(file=dumped(), backend="x", skips_errors=True).check()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("{", "Line 3 cannot be imported: it is not JSON"),
        ("7", "Line 3 cannot be imported: it is not a JSON object."),
        (line_of(make_job(backend="x")), r"Line 3 cannot be imported: TASKS\['x'\] has no jobs"),
        (line_of(make_job(queue_name="letters")), r"Line 3 cannot be imported: .* has no queue 'letters'"),
    ],
)
def test_a_broken_line_is_named_and_nothing_is_imported(stored, queue, line, error):
    stored()
    file = dumped(line, line_of(make_job()))
    queue.clear()
    with pytest.raises(BrokenLine, match=error):
        Import(file=file).check()
    assert queue.list() == []
    report = imported(file, skips_errors=True)
    assert (report.jobs, report.skipped, len(queue.list())) == (2, 1, 2)
    assert report.mistakes[0].startswith("Line 3 cannot be imported")


def test_a_last_line_that_is_half_written_is_said_to_be(stored, queue):
    stored()
    stored()
    file = io.BytesIO(dumped().getvalue()[:-20])
    queue.clear()
    with pytest.raises(BrokenLine, match="Line 3, the last one, is cut off: the dump was not written to its end"):
        Import(file=file).check()
    assert imported(file, skips_errors=True).jobs == 1


def test_a_last_line_without_an_end_is_a_line(stored, queue):
    stored()
    file = io.BytesIO(dumped().getvalue()[:-1])
    queue.clear()
    assert imported(file).jobs == 1


def test_only_the_first_mistakes_are_remembered():
    report = Import(file=dumped(*["{"] * (SHOWN + 5)), skips_errors=True).check()
    assert (report.skipped, len(report.mistakes)) == (SHOWN + 5, SHOWN)


def test_other_files_are_refused():
    with pytest.raises(ValueError, match="not a dump"):
        Import(file=io.BytesIO(b"id,task\n")).check()


def test_what_the_store_refuses_is_named(monkeypatch):
    def refuses(queue, batch, logs):
        return set(), {batch[0].id: "it has a NUL."}

    file = dumped(line_of(make_job()))
    monkeypatch.setattr(importing, "restore", refuses)
    with pytest.raises(QueueRefused, match=r"^Line 2 is refused by the store: it has a NUL\. With --skip-errors the"):
        imported(file)
    assert imported(file, skips_errors=True).skipped == 1


@pytest.mark.parametrize("alias", ["default", "other"])
def test_a_job_that_is_refused_after_others_were_stored_does_not_hide_these(queue, monkeypatch, alias):
    """In a later batch, and in another alias of the same batch."""
    count = 1_000 if alias == "default" else 3
    good = [make_job(number) for number in range(count)]
    restore = importing.restore

    def picky(given, jobs, logs):
        return restore(given, jobs, logs) if jobs[0].priority == 0 else (set(), {jobs[0].id: "it has a NUL."})

    monkeypatch.setattr(importing, "restore", picky)
    with pytest.raises(Unfinished) as caught:
        imported(dumped(*map(line_of, [*good, make_job(backend=alias, priority=1)])))
    told = str(caught.value)
    assert told.startswith(f"{count:,} jobs were imported, then others were refused. Run the command again for the")
    assert told.endswith(
        f"Line {count + 2:,} is refused by the store: it has a NUL. With --skip-errors the others are imported, too."
    )
    assert caught.value.done == count


def test_a_store_that_goes_away_says_how_far_it_came(queue, monkeypatch):
    batches = iter([queue.restore])

    def goes_away(jobs):
        for restore in batches:
            return restore(jobs)
        raise QueueUnavailable("it is away")

    file = dumped(*(line_of(make_job(number)) for number in range(1_500)))
    monkeypatch.setattr(queue, "restore", goes_away)
    with pytest.raises(Unfinished, match=r"1,000 jobs were imported, .* Run the command again .* it is away") as caught:
        imported(file)
    assert caught.value.done == 1_000
    monkeypatch.undo()
    monkeypatch.setattr(type(queue), "is_shared", True)
    report = imported(file)
    assert (report.jobs, report.existing) == (500, 1_000)
