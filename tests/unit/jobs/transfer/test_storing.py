"""Jobs on their way into an alias."""

from __future__ import annotations

import pytest

from django_loco.core.job import SUCCESSFUL
from django_loco.exceptions import QueueRefused
from django_loco.jobs.signing import is_genuine, signed
from django_loco.jobs.transfer.storing import in_alias, require_its_queue, restore, shared_queue
from django_loco.queues import Queue, queue_for
from django_loco.queues.memory import MemoryQueue
from tests.unit.jobs.conftest import make_job


def test_the_memory_of_other_processes_cannot_be_reached(monkeypatch, settings):
    assert shared_queue("default") is queue_for("default")
    monkeypatch.setattr(MemoryQueue, "is_shared", False)
    settings.WORKER_MODE = "BackgroundAsync"
    with pytest.raises(ValueError, match=r"TASKS\['default'\] are in the memory of the processes"):
        shared_queue("default")


def test_an_alias_whose_jobs_run_at_once_has_none_to_reach(settings, monkeypatch):
    monkeypatch.setattr(MemoryQueue, "is_shared", False)
    options = {"mode": "ForegroundBlocking"}
    settings.TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": options}}
    with pytest.raises(ValueError, match=r"TASKS\['default'\] run inside enqueue\(\) \(ForegroundBlocking\), so none"):
        shared_queue("default")


def test_an_unknown_alias_is_an_error_with_the_known_ones():
    with pytest.raises(ValueError, match=r"TASKS\['x'\] has no jobs of django-loco. Choices are: default, other"):
        shared_queue("x")


def test_a_job_of_the_alias_stays_as_it_is():
    job = make_job()
    assert in_alias(job, "default") is job


def test_a_genuine_job_is_signed_again_and_a_forged_one_is_not():
    genuine = in_alias(signed(make_job()), "other")
    assert (genuine.backend, is_genuine(genuine)) == ("other", True)
    forged = in_alias(make_job(options={"signature": "x"}), "other")
    assert (forged.options, is_genuine(forged)) == ({"signature": "x"}, False)
    assert in_alias(make_job(), "other").options == {}


def test_what_waits_needs_its_queue_and_what_has_finished_does_not():
    with pytest.raises(ValueError, match=r"TASKS\['default'\] has no queue 'letters'"):
        require_its_queue(make_job(backend="other", queue_name="letters"), "default")
    require_its_queue(make_job(backend="other", queue_name="letters", status=SUCCESSFUL), "default")
    require_its_queue(make_job(queue_name="letters"), "other")


def test_a_queue_of_a_project_refuses_until_it_can(queue, monkeypatch):
    job = make_job()
    monkeypatch.setattr(MemoryQueue, "restore", Queue.restore)
    stored, refused = restore(queue, [job])
    assert stored == set()
    assert "it has no restore()" in refused[job.id]


@pytest.mark.parametrize("error", [QueueRefused("NUL"), UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates")])
def test_of_a_batch_only_what_the_store_refuses_is_left_out(queue, monkeypatch, error):
    made = [make_job(number) for number in range(9)]
    bad = {made[2].id, made[7].id}

    def picky(jobs):
        if any(job.id in bad for job in jobs):
            raise error
        return {job.id for job in jobs}

    monkeypatch.setattr(queue, "restore", picky)
    stored, refused = restore(queue, made)
    assert stored == {job.id for job in made} - bad
    assert refused == dict.fromkeys(bad, str(error))
