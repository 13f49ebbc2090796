"""What each word of a filter selects."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, error_of, first_id, utcnow
from django_loco.core.uniqueness import digest_of
from django_loco.exceptions import JobCancelled, JobTimeout
from django_loco.jobs.language.bounds import ANYWHERE, Bounds
from django_loco.jobs.language.words import WORDS, meaning_of
from tests.unit.jobs.conftest import make_job

NOW = utcnow()
TOO_SLOW = error_of(JobTimeout, "too slow")
OLD = make_job(task="shop.tasks.send", age=7200)
PARENT = first_id(NOW - timedelta(hours=3))[:24] + "abcdef01"


def selects(text, job):
    word, _, values = text.partition(":")
    return meaning_of(word, values.split(","), NOW).test(job, NOW)


def bounds(text):
    word, _, values = text.partition(":")
    return meaning_of(word, values.split(","), NOW).bounds


@pytest.mark.parametrize(
    ("text", "fields", "does"),
    [
        ("status:waiting", {}, True),
        ("status:READY", {}, True),
        ("status:failed,Waiting", {}, True),
        ("status:failed", {"status": FAILED}, True),
        ("status:failed", {"status": FAILED, "errors": (error_of(JobCancelled, ""),)}, False),
        ("status:cancelled", {"status": FAILED, "errors": (error_of(JobCancelled, ""),)}, True),
        ("status:done,running", {"status": SUCCESSFUL}, True),
        ("status:successful", {"status": SUCCESSFUL}, True),
        ("task:shop.*", {}, True),
        ("task:shop.tasks.send", {}, True),
        ("task:send", {}, True),
        ("task:sen?", {}, True),
        ("task:shop", {}, False),
        ("task:other.*,send", {}, True),
        ("queue:default", {}, True),
        ("queue:em*", {"queue_name": "emails"}, True),
        ("queue:em*", {}, False),
        ("tag:a", {"tags": ("b", "a")}, True),
        ("tag:a*", {"tags": ("b",)}, False),
        ("tag:*", {}, False),
        (r"tag:what\?", {"tags": ("what?",)}, True),
        (r"tag:what\?", {"tags": ("whats",)}, False),
        ("backend:default", {}, True),
        ("backend:other", {}, False),
        ("older:1h", {}, True),
        ("older:3h", {}, False),
        ("newer:3h", {}, True),
        ("newer:1h", {}, False),
        ("error:timeout", {"errors": (TOO_SLOW,)}, True),
        ("error:JobTimeout", {"errors": (TOO_SLOW,)}, True),
        ("error:Job", {"errors": (TOO_SLOW,)}, True),
        ("error:loco", {"errors": (TOO_SLOW,)}, False),
        ("error:django_loco.exceptions.JobTimeout", {"errors": (TOO_SLOW,)}, True),
        ("error:exceptions.JobTimeout", {"errors": (TOO_SLOW,)}, False),
        ("error:django_loco.*", {"errors": (TOO_SLOW,)}, True),
        ("error:*", {"errors": (TOO_SLOW,)}, True),
        ("error:jobT*", {"errors": (TOO_SLOW,)}, True),
        ("error:none,Django_loco.exceptions.jobtimeout", {"errors": (TOO_SLOW,)}, True),
        (r"error:Job\*", {"errors": (TOO_SLOW,)}, False),
        (r"error:job\*,timeo", {"errors": (TOO_SLOW,)}, True),
        ("error:*", {}, False),
        ("error:timeout", {"errors": (TOO_SLOW, error_of(ValueError, ""))}, False),
        ("args.0:7", {"arguments": '[[7],{"a":"x"}]'}, True),
        ("args.1:7", {"arguments": '[[7],{"a":"x"}]'}, False),
        ("args.a:x", {"arguments": '[[7],{"a":"x"}]'}, True),
        ("args.a:y", {"arguments": '[[7],{"a":"x"}]'}, False),
        ("args.b:null", {"arguments": '[[7],{"a":"x"}]'}, False),
        ("args.0.sku:A1", {"arguments": '[[{"sku":"A1"}],{}]'}, True),
        ("args.0:x", {"arguments": '[[7],{"0":"x"}]'}, True),
        ("args.0:x", {"arguments": "broken"}, False),
        ("args.a:x", {"arguments": "7"}, False),
        ("args.a:x", {"arguments": '[{"a":"x"},[]]'}, False),
        ("metadata.trace.id:7", {"metadata": '{"trace":{"id":7}}'}, True),
        ("metadata.trace:7", {}, False),
        ("metadata.trace:7", {"metadata": "broken"}, False),
        ("priority:>=5,-1", {"priority": 5}, True),
        ("priority:>=5,-1", {"priority": -1}, True),
        ("priority:>=5,-1", {"priority": 4}, False),
        ("attempt:2", {"worker_ids": ("w",)}, True),
        ("worker:w*", {"worker_ids": ("", "w1")}, True),
        ("worker:w*", {"worker_id": "w2"}, True),
        ("worker:*", {"worker_ids": ("",)}, False),
        ("batch:b1", {"batch": "b1"}, True),
        (f"batch:{PARENT[-8:].upper()}", {"batch": PARENT}, True),
        (f"batch:{PARENT[:8]}", {"batch": PARENT}, False),
        (f"batch:{PARENT[:8]}*,b1", {"batch": PARENT}, True),
        (f"workflow:{PARENT[-8:]}", {"batch": PARENT}, True),
        (f"workflow:{PARENT[-8:]}", {}, False),
        ("batch:b1", {"batch": "b2"}, False),
        ("batch:*", {}, False),
        ("workflow:b1", {"batch": "b1"}, True),
        ("schedule:nightly", {"key": "nightly@2026-11-28"}, True),
        ("schedule:nightly", {"key": "other@2026-11-28"}, False),
        ("schedule:*", {"key": "a@1"}, True),
        ("schedule:*", {}, False),
        ("schedule:*", {"key": "a"}, False),
        ("request:abc", {"options": {"request_id": "abc"}}, True),
        ("request:abc", {}, False),
        (f"parent:{PARENT}", {"options": {"parent": PARENT}}, True),
        (f"parent:{UUID(PARENT)}", {"options": {"parent": PARENT}}, True),
        (f"parent:{PARENT[-8:]}", {"options": {"parent": PARENT}}, True),
        (f"parent:{PARENT}", {}, False),
        (f"parent:{PARENT[-8:]}", {"options": {"parent": 7}}, False),
        (f"parent:{PARENT}", {"options": {"parent": OLD.id}}, False),
        ("parent:*", {"options": {"parent": PARENT}}, True),
        ("parent:*", {}, False),
        ("unique:shop-7", {"unique_key": digest_of("shop-7")}, True),
        (f"unique:{digest_of('shop-7')}", {"unique_key": digest_of("shop-7")}, True),
        ("unique:shop-7", {"unique_key": "5" * 64}, False),
        (r"unique:shop-\*", {"unique_key": digest_of("shop-*")}, True),
        ("unique:shop-7", {}, False),
        ("limit:api", {"limit_key": "api:7 db"}, True),
        ("limit:api:7", {"limit_key": "api:7 db"}, True),
        ("limit:d*", {"limit_key": "api:7 db"}, True),
        ("limit:api:8", {"limit_key": "api:7 db"}, False),
        ("limit:*", {}, False),
    ],
)
def test_what_is_selected(text, fields, does):
    job = make_job(task="shop.tasks.send", age=7200)
    for name, value in fields.items():
        setattr(job, name, value)
    assert selects(text, job) is does


@pytest.mark.parametrize("written", [OLD.id, OLD.id.upper(), str(UUID(OLD.id))])
def test_ids_may_be_written_as_uuids_are(written):
    assert selects(f"id:{written}", OLD)
    assert bounds(f"id:{written}") == Bounds(ids=frozenset([OLD.id]))


def test_the_end_of_an_id_is_enough():
    assert selects(f"id:{OLD.id[-8:].upper()}", OLD)
    assert not selects("id:99999999", OLD)
    assert bounds(f"id:{OLD.id[-8:]},{OLD.id}") == ANYWHERE


def test_what_the_store_can_do():
    assert bounds("status:failed,cancelled,running") == Bounds(statuses=frozenset([FAILED, RUNNING]))
    assert bounds("queue:a,b") == Bounds(queues=frozenset("ab"))
    assert bounds("queue:a*") == ANYWHERE
    assert bounds(r"queue:a\*,b\\\?") == Bounds(queues=frozenset(["a*", r"b\?"]))
    assert bounds("backend:other") == Bounds(backends=frozenset(["other"]))
    assert bounds("older:1h") == Bounds(before=first_id(NOW - timedelta(hours=1)))
    assert bounds("newer:1h") == Bounds(since=first_id(NOW - timedelta(hours=1)))


def test_where_the_children_of_a_job_are():
    parent, later = (f"{first_id(at)[:12]}7{'f' * 19}" for at in (NOW, NOW + timedelta(hours=9)))
    since = bounds(f"parent:{parent}").since
    assert first_id(NOW - timedelta(hours=2)) < since <= first_id(NOW - timedelta(hours=1))
    assert bounds(f"parent:{later},{parent}").since == since
    assert selects(f"parent:{parent}", replace(OLD, options={"parent": parent}))
    assert bounds(f"parent:{uuid4()}") == Bounds(since="")  # an id that does not begin with the time
    assert bounds(f"parent:{parent[-8:]}") == bounds("parent:*") == ANYWHERE


def test_a_parent_that_is_no_id():
    with pytest.raises(ValueError, match="is not the id of a job"):
        meaning_of("parent", ["x"], NOW)


def test_where_the_others_are():
    assert meaning_of("status", ["done"], NOW).outside == Bounds(statuses=frozenset([READY, RUNNING, FAILED]))
    assert meaning_of("status", ["failed"], NOW).outside.statuses == {READY, RUNNING, FAILED, SUCCESSFUL}
    assert meaning_of("older", ["1h"], NOW).outside == bounds("newer:1h")


@pytest.mark.parametrize(
    ("text", "is_exact"),
    [
        ("status:ready", True),
        ("status:failed,cancelled", True),
        ("status:failed", False),
        ("status:waiting", False),
        ("queue:a", True),
        ("queue:a*", False),
        (r"queue:a\*", True),
        ("backend:default", True),
        ("older:1h", False),
        ("task:a", False),
    ],
)
def test_what_the_store_can_count(text, is_exact):
    word, _, value = text.partition(":")
    assert meaning_of(word, value.split(","), NOW).is_exact is is_exact


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quue:x", "'quue' is not a word of filters. Did you mean 'queue'?"),
        ("q:x", "'q' is not a word of filters. Choices are: status, task"),
        ("status:faild", "'faild' is not a status. Did you mean 'failed'?"),
        ("status:", "'' is not a status. Choices are: waiting, scheduled"),
        ("backend:oter", "TASKS has no alias 'oter'. Did you mean 'other'?"),
        ("queue:a\x00", "has a character that is in no name of a queue"),
        ("id:7", "'7' is not the id of a job"),
        ("args:7", "write args with a name, such as args.user_id:7"),
        ("args.:7", "write args with a name"),
        ("metadata.a..b:7", "write metadata with a name"),
        ("error.x:7", "error takes no name after a dot"),
        ("priority:high", "'high' is not a number"),
        ("older:x", "'x' is neither a duration"),
    ],
)
def test_mistakes_say_what_to_write(text, message):
    word, _, value = text.partition(":")
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        meaning_of(word, [value], NOW)


def test_all_words_are_tested():
    source = [text for each in test_what_is_selected.pytestmark for text, *_ in each.args[1]]
    assert {text.partition(":")[0].partition(".")[0] for text in source} | {"id"} == set(WORDS)


@pytest.mark.parametrize(
    ("text", "call", "does"),
    [
        ("args.b:7", ([1, 7], {}), True),
        ("args.b:7", ([1], {"b": 7}), True),
        ("args.b:7", ([7, 1], {}), False),
        ("args.b:7", ([1], {}), False),
        ("args.b.id:7", ([1, {"id": 7}], {}), True),
        ("args.c:7", ([1, 7], {}), False),
    ],
)
def test_an_argument_that_was_passed_by_place_is_found_by_its_name(text, call, does):
    args, kwargs = call
    assert selects(text, make_job(*args, kwargs=kwargs, task="tests.app.tasks.add")) is does
    assert not selects(text, make_job(*args, task="shop.tasks.gone"))
