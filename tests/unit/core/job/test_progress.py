"""The stored form of the progress that a job reports."""

from __future__ import annotations

import math
from datetime import UTC

import pytest

from django_loco.core.job import utcnow
from django_loco.core.job.progress import LARGEST, stored_progress, text_of_progress
from django_loco.queues.rows.unreadable import NOT_OURS


def test_what_was_said_is_read_again():
    before = utcnow()
    done, total, note, at = stored_progress(text_of_progress(1200, 5000, "prödücts\n"))
    assert (done, total, note) == (1200, 5000, "prödücts\n")
    assert abs((at - before).total_seconds()) < 5
    assert at.tzinfo is UTC


@pytest.mark.parametrize(
    ("given", "stored"), [(7, 7), (2.5, 2.5), (-5, 0), (10**400, LARGEST), (math.nan, None), (math.inf, None)]
)
def test_impossible_numbers_are_replaced(given, stored):
    progress = stored_progress(text_of_progress(given, given, ""))
    assert (progress.done, progress.total) == (stored or 0, stored)


def test_a_long_note_is_cut():
    assert len(stored_progress(text_of_progress(1, 2, "x" * 10_000)).note) < 1_200


@pytest.mark.parametrize("text", ["[]", "{}", '{"done":1,"total":2,"note":"","at":"2026-05-01T00:00:00"}'])
def test_what_somebody_has_edited_is_refused(text):
    with pytest.raises(NOT_OURS):
        stored_progress(text)
