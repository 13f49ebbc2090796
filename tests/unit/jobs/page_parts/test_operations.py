"""The jobs that a form has chosen, and the operations that there are."""

from __future__ import annotations

import pytest
from django.http import QueryDict

from django_loco import jobs
from django_loco.jobs.language import filter_of
from django_loco.jobs.page_parts.operations import MOST_IDS, OPERATIONS, ChosenJobs
from django_loco.jobs.page_parts.scope import EVERYTHING, Scope
from django_loco.models import LocoJob


def test_each_operation_has_a_permission_and_its_states():
    permissions = {name for name, _ in LocoJob._meta.permissions}
    assert permissions == {
        "view_job",
        "run_again_job",
        *(f"{each.may or name}_job" for name, each in OPERATIONS.items()),
    }
    assert set(OPERATIONS) - {"run_now"} == set(jobs.OPERATIONS) - {"update"}
    assert all(each.states == jobs.OPERATIONS[name] for name, each in OPERATIONS.items() if name != "run_now")


@pytest.mark.parametrize(
    ("form", "chosen"),
    [
        ("which=chosen&job=a&job=b&job=a&q=tag:x", ChosenJobs(scope=EVERYTHING, ids=("a", "b"), words="tag:x")),
        ("which=everything&job=a&q=+tag:x+", ChosenJobs(scope=EVERYTHING, words="tag:x", is_everything=True)),
        ("q=tag:x", ChosenJobs(scope=EVERYTHING, words="tag:x")),
    ],
)
def test_what_a_form_has_chosen(form, chosen):
    assert ChosenJobs.of(QueryDict(form), EVERYTHING) == chosen
    assert chosen.is_empty == (form == "q=tag:x")


def test_the_log_names_the_jobs():
    many = tuple(f"id-{number}" for number in range(MOST_IDS + 1))
    assert ChosenJobs(scope=EVERYTHING, ids=("a",)).described(1) == "1 job: a"
    assert ChosenJobs(scope=EVERYTHING, ids=many).described(21).endswith(f"id-{MOST_IDS - 1}, ...")
    assert (
        ChosenJobs(scope=EVERYTHING, words="tag:x", is_everything=True).described(1_000)
        == "1,000 jobs that match 'tag:x'"
    )
    acme = Scope(filter_of("queue:acme", {}))
    assert ChosenJobs(scope=acme, is_everything=True).described(2) == "2 jobs that match 'queue:acme'"
    assert ChosenJobs(scope=EVERYTHING, is_everything=True).described(0) == "0 jobs of all"
