"""Copies of jobs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from django_loco.core.job import READY, SUCCESSFUL, Job, changed


def test_a_changed_job_is_another_one_without_the_note_of_the_queue():
    job = Job(task_path="a.b", backend="default", tags=("x",), lost=1)
    job.note = "as it is stored"
    new = changed(job, status=SUCCESSFUL, lost=2)
    assert new == replace(job, status=SUCCESSFUL, lost=2)
    assert (job.status, job.lost, job.stored, new.stored) == (READY, 1, "as it is stored", None)
    assert replace(job, lost=2).stored is None


def test_a_job_has_no_other_fields():
    with pytest.raises(AttributeError):
        changed(Job(task_path="a.b", backend="default"), colour="red")
