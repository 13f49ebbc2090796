"""A filter as a whole."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from functools import reduce

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from django_loco.core.job import FAILED, READY, first_id, utcnow
from django_loco.exceptions import FilterError
from django_loco.jobs.language import filter_of
from django_loco.jobs.language.bounds import ANYWHERE
from django_loco.jobs.language.patterns import escape
from tests.unit.jobs.conftest import make_job
from tests.unit.texts import texts

NOW = utcnow()
#: Names with the characters that have a meaning in filters.
WILD = st.text(st.sampled_from("*?\\[]\"',-:ab"), max_size=6)
WORDS = ["status:waiting", "status:failed", "queue:default", "queue:x", "tag:a", "args.0:7", "priority:>0", "error:*"]


def test_all_conditions_hold():
    job = make_job(7, tags=("a",))
    assert filter_of("status:waiting tag:a args.0:7", {}).matches(job, NOW)
    assert not filter_of("status:waiting tag:b args.0:7", {}).matches(job, NOW)
    assert filter_of("", {}).matches(job, NOW)


@pytest.mark.parametrize("text", ["args.a:7", "args.0:7", "args.0.b:7", "args.x:7", "task:add args.a:7", "task:*.add"])
@pytest.mark.parametrize(
    "call", [[[7, 8], {}], [[{"b": 7}], {}], [[], {"x": 7, "a": "7"}], [[8, 7], {"b": 7}], [[], {}]]
)
def test_calls_of_jobs_that_match_are_never_ruled_out(text, call):
    job = replace(make_job(task="tests.app.tasks.add"), arguments=json.dumps(call))
    found = filter_of(text, {})
    assert found.of_call(job) >= found.matches(job, NOW)
    assert not filter_of("task:none args.a:7", {}).of_call(job)
    assert not filter_of("args.a:9", {}).of_call(job)


def test_a_minus_turns_a_condition_round():
    assert filter_of("-tag:b -status:failed", {}).matches(make_job(tags=("a",)), NOW)
    assert not filter_of("-tag:a", {}).matches(make_job(tags=("a",)), NOW)


def test_text_and_keywords_hold_together():
    both = filter_of("tag:a", {"queue": "emails"})
    assert str(both) == "tag:a queue:emails"
    assert both.matches(make_job(tags=("a",), queue_name="emails"), NOW)
    assert not both.matches(make_job(tags=("a",)), NOW)


def test_bounds_of_all_conditions():
    bounds = filter_of("status:failed,waiting -status:waiting queue:a older:1h newer:2h", {}, NOW).bounds
    assert bounds.statuses == {FAILED, READY}
    assert bounds.queues == {"a"}
    assert bounds.before == first_id(NOW - timedelta(hours=1))
    assert bounds.since == first_id(NOW - timedelta(hours=2))
    assert filter_of("-queue:a", {}).bounds == ANYWHERE


def test_exactness():
    assert filter_of("status:ready queue:a", {}).is_exact
    assert filter_of("", {}).is_exact
    assert not filter_of("status:ready -queue:a", {}).is_exact


def test_a_mistake_has_its_place():
    text = "tag:a statsu:failed"
    with pytest.raises(FilterError, match=r"statsu: 'statsu' is not a word .* \(at character 7") as caught:
        filter_of(text, {})
    assert caught.value.position == text.index("statsu")


def test_what_is_no_text():
    with pytest.raises(FilterError, match="the filter is 7; it must be text"):
        filter_of(7, {})


@pytest.mark.parametrize(
    ("word", "field"),
    [("tag", "tags"), ("worker", "worker_id"), ("queue", "queue_name"), ("batch", "batch")],
)
@given(text=texts | WILD, other=texts | WILD)
def test_an_escaped_name_finds_itself_alone_as_keyword_and_as_text(word, field, text, other):
    assume(word == "tag" or (text.isprintable() and text.strip() and " " not in text))
    job, stranger = (replace(make_job(), **{field: (name,) if word == "tag" else name}) for name in (text, other))
    by_keyword = filter_of("", {word: escape(text)}, NOW)
    for found in (by_keyword, filter_of(str(by_keyword), {}, NOW)):
        assert found.matches(job, NOW)
        assert found.matches(stranger, NOW) == (text == other)
        assert str(found) == str(by_keyword)
        assert found.bounds == by_keyword.bounds


@given(texts | WILD)
def test_a_value_of_metadata_is_no_pattern(text):
    found = filter_of("", {"metadata": {"tenant": text}}, NOW)
    for condition in (found, filter_of(str(found), {}, NOW)):
        assert condition.matches(make_job(metadata=json.dumps({"tenant": text})), NOW)
        assert not condition.matches(make_job(metadata=json.dumps({"tenant": f"{text}x"})), NOW)
        assert not condition.matches(make_job(metadata=json.dumps({"tenant": f'"{text}x"'})), NOW)


@given(texts)
def test_a_name_in_metadata_may_have_any_characters(name):
    assume(all(name.split(".")))
    found = filter_of("", {"metadata": {name: 1}}, NOW)
    assert found.matches(
        make_job(metadata=json.dumps(reduce(lambda value, key: {key: value}, name.split(".")[::-1], 1))), NOW
    )
    assert str(filter_of(str(found), {}, NOW)) == str(found)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(WORDS)), max_size=5))
def test_a_filter_is_the_same_after_it_was_written_out(words):
    text = " ".join("-" * negated + word for negated, word in words)
    written = filter_of(text, {}, NOW)
    assert str(filter_of(str(written), {}, NOW)) == str(written) == text
    jobs = [make_job(7), make_job(tags=("a",)), make_job(queue_name="x", priority=3)]
    expected = [all(filter_of(word, {}, NOW).matches(job, NOW) != negated for negated, word in words) for job in jobs]
    assert [written.matches(job, NOW) for job in jobs] == expected
