"""Keys of calls, and which job holds its key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from django_loco.core.job import FAILED, RUNNING, Job, Outcome, utcnow
from django_loco.core.uniqueness import digest_of, holds_key, keys_again, rule_of, takes_key, time_of_until
from django_loco.exceptions import RAISED_INTO_JOBS

NOW = utcnow()


def send(to: str, text: str = "hello", *more: int, loud: bool = False, at: object = object()) -> None:
    """Do nothing."""


def anything(**given: Any) -> None:
    """Do nothing."""


@dataclass
class Options:
    module_path: str = "shop.send"
    func: Any = send
    takes_context: bool = False
    unique: Any = True
    unique_until: str | None = None
    unique_for: Any = None
    unique_key: Any = None
    on_duplicate: str | None = None
    max_wait: Any = None


def key(*args: Any, of: Options | None = None, **kwargs: Any) -> str:
    rule = rule_of(of or Options())
    assert rule is not None
    return rule.fields(args, kwargs, NOW)[0]


@pytest.mark.parametrize("interruption", RAISED_INTO_JOBS)
def test_a_job_that_is_interrupted_while_it_makes_a_unique_key_fails_by_that(interruption):
    def interrupt(*args: Any) -> None:
        raise interruption

    with pytest.raises(interruption):
        key("a", of=Options(unique=interrupt))


def test_ways_to_write_a_call_have_one_key():
    same = [key("a"), key(to="a"), key("a", "hello"), key("a", loud=False), key(text="hello", to="a")]
    assert set(same) == {same[0]}
    assert len({same[0], key("b"), key("a", "b"), key("a", loud=True), key("a", "hello", 1), key("a", "hello", 2)}) == 6


def by_place(first: Any = 0, /, *more: Any, **given: Any) -> None:
    """Do nothing."""


def test_an_argument_by_place_and_one_of_its_name_are_two():
    of = Options(func=by_place)
    calls = [
        key(1, of=of),
        key(1, first=2, of=of),
        key(5, first=2, of=of),
        key(first=2, of=of),
        key(2, of=of),
        key(1, 2, of=of),
        key(1, of=of, **{"*": [2]}),
        key(1, of=of, **{"**": {"first": 2}}),
    ]
    assert len(set(calls)) == len(calls)
    assert key(1, other=2, of=of) == key(1, other=2, of=Options(func=lambda first, **given: None))
    chosen = Options(func=by_place, unique=("first",))
    assert key(1, first=2, of=chosen) == key(1, of=chosen) != key(2, of=chosen)


def test_the_order_in_a_dict_does_not_count_but_that_in_a_list_does():
    of = Options(func=anything)
    assert key(of=of, a={"x": 1, "y": [1, 2]}, b=2) == key(of=of, b=2, a={"y": (1, 2), "x": 1})
    assert key(of=of, a=[1, 2]) != key(of=of, a=[2, 1])


def test_tasks_and_texts_have_keys_of_their_own():
    text = key("a", of=Options(unique_key="a"))
    assert len({key("a"), key("a", of=Options(module_path="shop.other")), text}) == 3
    assert text == key("b", of=Options(module_path="shop.other", unique_key="a")) == digest_of("a") == digest_of(text)
    content = "0f" * 32  # such as a SHA-256
    assert key("a", of=Options(unique_key=content)) == digest_of(content)


def test_the_context_is_no_argument():
    def call(context, to): ...

    of = Options(func=call, takes_context=True, unique=("to",))
    assert key("a", of=of) == key(to="a", of=of)


def test_a_default_that_is_no_json_counts_as_not_given():
    assert key("a") != key("a", at=None)


def test_of_chosen_arguments_the_others_do_not_count():
    of = Options(unique=("to",))
    assert key("a", "x", loud=True, of=of) == key(to="a", of=of) != key("b", of=of)


def test_until_when():
    assert rule_of(Options()).fields(("a",), {}, NOW)[1] == "finished"
    assert rule_of(Options(unique_until="started")).fields(("a",), {}, NOW)[1] == "started"
    for duration in (90, timedelta(seconds=90)):
        until = rule_of(Options(unique_for=duration)).fields(("a",), {}, NOW)[1]
        assert time_of_until(until) == NOW + timedelta(seconds=90)


def test_without_unique_there_is_no_rule():
    assert rule_of(Options(unique=None)) is rule_of(Options(unique=False, unique_until="started")) is None
    with pytest.raises(ValueError, match="on_duplicate is given without unique"):
        rule_of(Options(unique=None, on_duplicate="keep"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_wait": 5}, "max_wait is given without on_duplicate"),
        ({"max_wait": 5, "on_duplicate": "keep"}, "max_wait is given without on_duplicate"),
        ({"unique": None, "max_wait": 5}, "max_wait is given without unique"),
        ({"on_duplicate": "rerun", "unique_for": 5}, "cannot be given with unique_for"),
    ],
)
def test_options_that_do_not_fit_together(options, words):
    with pytest.raises(ValueError, match=words):
        rule_of(Options(**options))


def test_a_job_takes_a_key_that_it_did_not_hold():
    waiting = job("finished")
    other = replace(waiting, unique_key="other")
    ended = replace(waiting, status=FAILED, finished_at=NOW)
    assert takes_key(waiting, other, NOW)
    assert takes_key(ended, waiting, NOW)
    assert not takes_key(waiting, waiting, NOW)
    assert not takes_key(waiting, ended, NOW)
    assert not takes_key(waiting, replace(waiting, unique_key=None), NOW)


def job(until: str, **given: Any) -> Job:
    return Job(task_path="shop.send", backend="default", unique_key="k", unique_until=until, **given)


@pytest.mark.parametrize("until", ["finished", "started"])
def test_a_job_holds_its_key_until_its_end_or_start(until):
    waiting = job(until)
    running = waiting.claimed(worker_id="w", token="t", at=NOW)
    handed_back = Outcome.released(running).applied()
    ended = Outcome(job=running, status=FAILED).applied()
    holds = [holds_key(each, NOW) for each in (waiting, running, handed_back, ended)]
    assert holds == [True, until == "finished", until == "finished", False]
    assert running.status == RUNNING
    assert takes_key(ended, handed_back, NOW) == (until == "finished")
    assert not takes_key(waiting, replace(waiting, priority=3), NOW)
    assert not takes_key(waiting, None, NOW)


def test_or_until_a_time_whatever_becomes_of_it():
    ended = Outcome(job=job((NOW + timedelta(seconds=1)).isoformat(" ")), status=FAILED).applied()
    assert holds_key(ended, NOW)
    assert not holds_key(ended, NOW + timedelta(seconds=1))
    assert not holds_key(job("nonsense"), NOW)
    assert not holds_key(Job(task_path="", backend=""), NOW)


def test_a_call_like_a_stored_one_has_the_key_of_its_own_arguments():
    stored = job("started", enqueued_at=NOW)
    stored = replace(stored, unique_key=key("a"))
    a, b = (["a"], {}), (["b"], {})
    assert keys_again(Options(), stored, a, a) == (key("a"), "started")
    assert keys_again(Options(), stored, a, b) == (key("b"), "started")
    assert keys_again(Options(unique=None), stored, a, b) == (key("a"), "started")  # of using(unique_key=...)
    assert keys_again(Options(), replace(stored, unique_until="2026-11-28"), a, b) == (None, None)
    assert keys_again(Options(), replace(stored, unique_key=None), a, b) == (None, None)
