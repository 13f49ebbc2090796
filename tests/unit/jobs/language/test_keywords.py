"""Filters as keyword arguments."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from django_loco.core.compat import TaskResultStatus
from django_loco.core.job import new_id
from django_loco.exceptions import FilterError, JobTimeout
from django_loco.jobs.language.keywords import Keywords, tokens_of_keywords
from django_loco.jobs.language.words import WORDS
from tests.app.tasks import echo
from tests.unit.jobs.conftest import make_job

ID, JOB = new_id(), make_job()
MOMENT = datetime.fromisoformat("2026-11-28T09:30:00+00:00")


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({}, ""),
        ({"status": None}, ""),
        ({"status": "failed", "queue": ["a", "b c"]}, 'status:failed queue:a,"b c"'),
        ({"status": TaskResultStatus.FAILED}, "status:failed,cancelled"),
        ({"status": [TaskResultStatus.RUNNING, "done"]}, "status:RUNNING,done"),
        ({"task": echo}, "task:tests.app.tasks.echo"),
        ({"task": [echo, "shop.*"]}, "task:tests.app.tasks.echo,shop.*"),
        ({"error": JobTimeout}, "error:django_loco.exceptions.JobTimeout"),
        ({"error": (ValueError, "x")}, "error:builtins.ValueError,x"),
        ({"older": timedelta(hours=2)}, "older:7200s"),
        ({"newer": MOMENT}, "newer:2026-11-28T09:30:00+00:00"),
        ({"older": "2h"}, "older:2h"),
        ({"id": UUID(ID)}, f"id:{ID}"),
        ({"id": [ID, JOB]}, f"id:{ID},{JOB.id}"),
        ({"priority": 5, "attempt": ">=3"}, "priority:5 attempt:>=3"),
        ({"args": {"user_id": 7, 0: "a"}}, r'args.user_id:7 args.0:"\"a\""'),
        ({"metadata": {"a.b": {"c": [1, None]}}}, 'metadata.a.b:{"c":[1,null]}'),
        ({"tag": {"one"}}, "tag:one"),
        ({"tag": (each for each in "ab")}, "tag:a,b"),
    ],
)
def test_they_are_the_same_as_text(keywords, text):
    found = " ".join(map(str, tokens_of_keywords(keywords)))
    assert found == text


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"args": 7}, "args is 7; it must be a dict"),
        ({"args": {"a": {1, 2}}}, "args.a: Unsupported type.*Use a list"),
        ({"id": []}, "id is empty, so that no job would match"),
        ({"priority": True}, "priority is True, which is of another type"),
        ({"tag": 1.5}, "tag is 1.5, which is of another type"),
    ],
)
def test_mistakes(keywords, message):
    with pytest.raises(FilterError, match=message) as caught:
        list(tokens_of_keywords(keywords))
    assert caught.value.position is None


def test_an_unknown_keyword():
    with pytest.raises(TypeError, match=r"filters have no keyword 'stats'\. Did you mean 'status'"):
        list(tokens_of_keywords({"stats": "failed"}))


def test_each_word_has_a_keyword():
    assert set(Keywords.__annotations__) == set(WORDS)
