from __future__ import annotations

import pytest

from django_loco.management import doctor
from django_loco.management.doctor import report
from django_loco.management.doctor.registry import PROJECT_CHECKS, STORE_CHECKS, Check

CHECKS: list[Check] = [*PROJECT_CHECKS, *STORE_CHECKS]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_each_check_says_what_is_well_as_a_sentence(check: Check):
    assert check.good == "" or (check.good[0].isupper() and check.good.endswith("."))
    assert check.examine.__doc__


def test_ids_are_unique():
    assert len({check.id for check in CHECKS}) == len(CHECKS)


def test_each_check_of_the_project_is_shown():
    """A section that the report does not have would drop its checks."""
    assert {check.section for check in PROJECT_CHECKS} == {*report.FIRST, *report.LAST}
    assert doctor.examine is report.examine
