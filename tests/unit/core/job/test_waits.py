from __future__ import annotations

from datetime import UTC, datetime

import pytest

from django_loco.core.job import FOREVER, READY, RUNNING, Job, Outcome, pending_wait, pending_waits
from django_loco.core.job.waits import SIGNAL, SLEEP, Wait, signals_of, text_of_signals, text_of_waits, waits_of

UNTIL = datetime(2026, 11, 28, 12, 30, 1, 5, tzinfo=UTC)
NAP, ANSWER = Wait("nap", SLEEP, UNTIL), Wait("answer", SIGNAL, None)


def job(*waits: Wait, **given):
    return Job(task_path="", backend="", waits=text_of_waits({wait.name: wait for wait in waits}), **given)


def test_waits_make_the_round_trip():
    assert waits_of(job(NAP, ANSWER)) == {"nap": NAP, "answer": ANSWER}
    assert waits_of(Job(task_path="", backend="")) == {}


def test_signals_make_the_round_trip():
    signals = {"a": {"value": ["ä\t\n", None]}, "b": {"timed_out": True}}
    text = text_of_signals(signals)
    assert signals_of(Job(task_path="", backend="", signals=text)) == signals
    assert not {"\n", "\t"} & set(text)
    assert (text_of_signals({}), signals_of(Job(task_path="", backend=""))) == (None, {})


@pytest.mark.parametrize("wait", [NAP, ANSWER])
def test_a_job_is_pending_while_it_is_due_at_the_end_of_its_last_wait(wait):
    assert wait.due_at == (wait.until or FOREVER)
    assert pending_wait(job(wait, run_after=wait.due_at)) == wait
    assert pending_wait(job(wait, run_after=wait.due_at, status=RUNNING)) is None
    assert pending_wait(job(wait, run_after=None)) is None
    assert pending_wait(job(wait, run_after=wait.due_at, steps=f'{{"{wait.name}":null}}')) is None


def test_the_wait_that_ends_first_counts():
    assert pending_waits(job(ANSWER, NAP, run_after=FOREVER)) == [ANSWER]
    assert pending_waits(job(ANSWER, NAP, run_after=UNTIL)) == [NAP, ANSWER]
    assert pending_waits(job(ANSWER, NAP, run_after=UNTIL, steps='{"answer":1}')) == [NAP]
    assert pending_waits(job(ANSWER, NAP, run_after=UNTIL, steps='{"nap":null}')) == []


@pytest.mark.parametrize("text", ["", "[]", "1", '{"a":1}', '{"a":["sleep"]}', '{"a":["sleep","noon"]}'])
def test_a_text_that_somebody_has_edited_is_no_wait(text):
    assert pending_wait(Job(task_path="", backend="", waits=text, run_after=UNTIL)) is None


def test_a_job_that_has_waited_has_begun():
    assert job(NAP).is_known_to_have_begun


def test_an_outcome_is_woken_to_run_at_once():
    waiting = Outcome(job=job(ANSWER), status=READY, waits=True, run_after=FOREVER, log="{}")
    woken = waiting.woken()
    assert (woken.waits, woken.run_after, woken.log) == (False, waiting.at, "{}")
