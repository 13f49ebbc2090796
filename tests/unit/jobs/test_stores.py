"""Finding single jobs, in one or all aliases."""

from __future__ import annotations

from uuid import UUID

import pytest

from django_loco import jobs
from django_loco.core.compat import BaseTaskBackend, TaskResultDoesNotExist
from django_loco.core.job import new_id
from django_loco.exceptions import LocoConfigurationError, QueueUnavailable
from django_loco.jobs.stores import aliases, backend_of, searched
from django_loco.queues import queue_for
from tests.app.tasks import echo
from tests.unit.jobs.conftest import LOCO

#: Of Django or of the backport, whichever is there.
DUMMY = f"{BaseTaskBackend.__module__.removesuffix('.base')}.dummy.DummyBackend"


def test_a_job_is_found_in_any_alias(stored):
    job = stored(backend="other")
    for reference in (job.id, str(UUID(job.id)), UUID(job.id), job.id.upper(), job):
        assert jobs.get(reference) == job
    assert jobs.get(job.id, backend="other") == job


def test_a_result_is_a_reference():
    result = echo.enqueue(1)
    assert jobs.get(result).id == result.id


def test_a_missing_job_is_named_with_the_aliases_and_the_process():
    missing = new_id()
    with pytest.raises(TaskResultDoesNotExist) as caught:
        jobs.get(missing)
    message = str(caught.value)
    assert f"no job {missing} in TASKS['default'] or TASKS['other']" in message
    assert "in the memory of the process that enqueued them" in message


def test_only_the_named_alias_is_searched(stored):
    job = stored(backend="other")
    with pytest.raises(TaskResultDoesNotExist, match=r"in TASKS\['default'\]\. "):
        jobs.get(job.id, backend="default")


@pytest.mark.parametrize("text", ["", "7", "not an id"])
def test_what_is_no_id(text):
    with pytest.raises(TaskResultDoesNotExist, match="is not the id of a job"):
        jobs.get(text)


def test_an_alias_that_does_not_answer_hides_no_other(stored, monkeypatch):
    def unavailable(job_id: str) -> None:
        raise QueueUnavailable("gone")

    monkeypatch.setattr(queue_for("default"), "get", unavailable)
    job = stored(backend="other")
    assert jobs.get(job.id) == job
    with pytest.raises(QueueUnavailable, match="gone"):
        jobs.get(new_id())


def test_aliases_of_others_are_left_out(settings):
    settings.TASKS = {
        "default": {"BACKEND": LOCO, "OPTIONS": {"queue": "memory"}},
        "elsewhere": {"BACKEND": DUMMY},
    }
    assert aliases() == searched(None) == ["default"]
    with pytest.raises(ValueError, match=r"TASKS\['elsewhere'\] has no jobs of django-loco\. Choices are: default"):
        backend_of("elsewhere")


def test_without_any_alias_the_setting_is_named(settings):
    settings.TASKS = {"default": {"BACKEND": DUMMY}}
    with pytest.raises(LocoConfigurationError, match="TASKS has no backend of django-loco"):
        jobs.get(new_id())


def test_an_unknown_alias():
    with pytest.raises(ValueError, match="Did you mean 'other'"):
        jobs.get(new_id(), backend="othr")
