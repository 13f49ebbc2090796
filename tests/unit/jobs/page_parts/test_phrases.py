from typing import get_args

import pytest

from django_loco.jobs.page_parts.operations import OPERATIONS
from django_loco.jobs.page_parts.phrases import PHRASES, STATE_TEXTS
from django_loco.jobs.search import Count
from django_loco.jobs.states import State


def test_each_state_and_each_operation_has_its_texts():
    assert {state: str(text) for state, text in STATE_TEXTS.items()} == {state: state for state in get_args(State)}
    assert PHRASES.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("name", OPERATIONS)
def test_questions_and_results_have_one_form_for_one_job_and_one_for_many(name):
    phrases, past = PHRASES[name], OPERATIONS[name].past
    verb, end = ("Run", " now?") if name == "run_now" else (name.capitalize(), "?")
    assert phrases.asked(Count(1)) == f"{verb} 1 job{end}"
    assert phrases.asked(Count(10_000, is_capped=True)) == f"{verb} 10,000+ jobs{end}"
    assert phrases.done(Count(1)) == f"1 job was {past}."
    assert phrases.done(Count(2)) == f"2 jobs were {past}."
