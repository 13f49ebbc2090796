"""Jobs on their way from one store to another."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from django_loco.core.job import FAILED, MOVING, READY, utcnow
from django_loco.jobs.signing import is_genuine, signed
from django_loco.jobs.states import state_of
from django_loco.jobs.transfer.parking import arrived, ends_of, goes, gone, is_gone, is_parked, parked, unparked
from tests.unit.jobs.conftest import make_job

LATER = utcnow() + timedelta(days=3)


@pytest.mark.parametrize("fields", [{}, {"run_after": LATER}, {"options": {"timeout": 5}, "queue_name": "emails"}])
def test_a_parked_job_can_be_put_back(fields):
    job = make_job(**fields)
    away = parked(job, "other")
    assert unparked(away) == job
    assert unparked(replace(away, backend="other")) == job
    assert (away.status, away.id, away.backend) == (READY, job.id, "default")
    assert state_of(away, utcnow() + timedelta(days=365 * 7_000)) == "scheduled"


def test_a_parked_job_knows_its_way():
    away = parked(make_job(), "other")
    assert is_parked(away)
    assert ends_of(away) == ("default", "other")
    assert goes(away, "default", "other")
    assert not goes(away, "other", "default")
    assert not is_parked(make_job())
    assert not is_parked(replace(away, status=FAILED))
    assert not is_parked(replace(away, options={MOVING: {"to": "other"}}))
    assert not is_parked(replace(away, options={MOVING: "nonsense"}))
    assert ends_of(make_job(options={MOVING: "nonsense"})) == ("", "")


def test_a_run_does_not_take_the_way_for_an_option():
    away = parked(make_job(options={"timeout": 5}), "other")
    assert away.overrides == {"timeout": 5}


def test_a_job_arrives_as_it_was_in_the_other_alias():
    job = make_job(run_after=LATER)
    copy = replace(parked(job, "other"), backend="other")
    assert arrived(copy) == replace(job, backend="other")


def test_a_genuine_job_arrives_genuine_and_a_forged_one_does_not():
    copy = replace(parked(signed(make_job()), "other"), backend="other")
    assert is_genuine(arrived(copy))
    forged = replace(parked(make_job(options={"signature": "x"}), "other"), backend="other")
    assert not is_genuine(arrived(forged))


def test_what_stays_of_a_job_is_cancelled_and_says_where_it_went():
    job = make_job(key="s@1", queue_name="emails")
    rest = gone(parked(job, "other"))
    assert state_of(rest, utcnow()) == "cancelled"
    assert (rest.queue_name, rest.run_after, rest.backend) == ("emails", None, "default")
    assert "moved from TASKS['default'] to TASKS['other']" in rest.errors[-1].traceback
    assert is_gone(rest, "other")
    assert not is_gone(rest, "third")
    assert not is_gone(replace(rest, status=READY), "other")
    assert not is_gone(make_job(status=FAILED), "other")
