"""What a job writes is stored, and a job that another worker has learns of it."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from django_loco.core.job import Job
from django_loco.exceptions import QueueUnavailable
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.execution.context.saving import has_unsaved, save, save_rest

from ...support import held


class Store:
    """Takes what a job stores, as long as the job is held."""

    def __init__(self) -> None:
        self.answer: bool | QueueUnavailable = True
        self.stored: list[tuple[str, str]] = []

    def update(self, job: Job, field: str, text: str) -> bool:
        if isinstance(self.answer, QueueUnavailable):
            raise self.answer
        self.stored.append((field, text))
        return self.answer


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def claimed(store: Store) -> ClaimedJob:
    return ClaimedJob(held("nothing"), update=store.update)


def result_with(**metadata: object) -> SimpleNamespace:
    return SimpleNamespace(metadata=metadata)


def test_a_value_is_stored_as_json(store, claimed):
    assert save(claimed, "checkpoint", {"page": 3})
    assert store.stored == [("checkpoint", '{"page":3}')]
    assert not claimed.refused


def test_a_value_that_is_not_json_is_named(claimed):
    with pytest.raises(TypeError, match=r"nothing: the checkpoint cannot be stored as JSON"):
        save(claimed, "checkpoint", object())


def test_a_job_that_another_worker_has_learns_of_it(store, claimed):
    store.answer = False
    assert not save(claimed, "checkpoint", 1)
    assert claimed.refused


def test_while_the_queue_is_away_nothing_is_stored_and_the_job_goes_on(store, claimed, caplog):
    store.answer = QueueUnavailable("away")
    with caplog.at_level(logging.WARNING, "django_loco"):
        assert not save(claimed, "metadata", {})
    assert not claimed.refused
    assert "The metadata of" in caplog.text


def test_changed_metadata_are_left_to_store(store, claimed):
    assert not has_unsaved(claimed, result_with())
    assert has_unsaved(claimed, result_with(done=1))
    save_rest(claimed, result_with(done=1))
    assert store.stored == [("metadata", '{"done":1}')]


def test_metadata_that_cannot_be_stored_are_logged(claimed, caplog):
    broken = result_with(done=object())
    assert has_unsaved(claimed, broken)
    save_rest(claimed, broken)
    assert "The metadata of job" in caplog.text
