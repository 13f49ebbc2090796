"""Signatures of jobs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from django_loco.jobs.signing import is_genuine, sign, signed
from tests.unit.jobs.conftest import make_job

JOB = signed(make_job(7, tags=("a",), key="s@1"))


def test_what_was_signed_is_genuine():
    assert is_genuine(JOB)
    assert not is_genuine(make_job(7))


@pytest.mark.parametrize(
    "change",
    [
        {"id": "0" * 32},
        {"backend": "other"},
        {"task_path": "os.remove"},
        {"arguments": "[[8],{}]"},
        {"queue_name": "other"},
        {"key": "s@2"},
        {"options": {**JOB.options, "timeout": 5}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_the_signature_covers(change):
    assert not is_genuine(replace(JOB, **change))


@pytest.mark.parametrize(
    "change", [{"priority": 5}, {"tags": ()}, {"metadata": "{}"}], ids=lambda change: next(iter(change))
)
def test_what_changes_later_is_not_covered(change):
    assert is_genuine(replace(JOB, **change))


def test_a_former_key_is_known(settings):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one"
    assert is_genuine(JOB)
    settings.SECRET_KEY_FALLBACKS = []
    assert not is_genuine(JOB)


def test_jobs_are_signed_if_the_setting_says_so(settings):
    assert sign([make_job()])[0].options == {}
    settings.LOCO = {"TESTING": "live", "SIGN": True}
    assert is_genuine(sign([make_job()])[0])
