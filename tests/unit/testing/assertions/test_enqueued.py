"""The jobs that a test finds, and what a failed assertion says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from django_loco.core.compat import BaseTaskBackend
from django_loco.exceptions import InvalidArguments, LocoConfigurationError
from django_loco.queues import queue_for
from django_loco.testing import all_enqueued, assert_enqueued, drain, refute_enqueued

from .. import tasks

HOUR = timedelta(hours=1)
AT = datetime(2030, 12, 24, 18, tzinfo=UTC)


def refused(*args, **kwargs):
    with pytest.raises(AssertionError) as caught:
        assert_enqueued(*args, **kwargs)
    return str(caught.value)


def test_all_enqueued():
    tasks.send.enqueue(1, to=(1, None))
    tasks.send.using(queue_name="emails").enqueue(2)
    tasks.asend.enqueue(3)
    assert [result.args for result in all_enqueued()] == [[1], [2], [3]]
    assert [result.kwargs for result in all_enqueued(tasks.send)] == [{"to": [1, None]}, {}]
    assert [result.args for result in all_enqueued(queue="emails")] == [[2]]
    assert all_enqueued(tasks.asend, "emails") == []
    with pytest.raises(LocoConfigurationError, match="Did you mean 'emails'"):
        all_enqueued(queue="email")


@pytest.mark.parametrize(
    "description",
    [
        {},
        {"args": [1]},
        {"args": (1,), "kwargs": {"to": (1, 2)}},
        {"kwargs": {"user_id": 1, "to": [1, 2], "fast": False}},
        {"partial": {"user_id": 1}},
        {"partial": {"fast": False}},
        {"kwargs": {"to": [1, 2]}, "partial": True},
        {"queue": "default"},
        {"run_after": None},
        {"times": 1},
    ],
)
def test_a_job_is_found(description):
    tasks.send.enqueue(1, to=(1, 2))
    if description == {"args": [1]}:
        refute_enqueued(tasks.send, **description)
        return
    assert assert_enqueued(tasks.send, **description).args == [1]
    with pytest.raises(AssertionError, match="is enqueued"):
        refute_enqueued(tasks.send, **{name: value for name, value in description.items() if name != "times"})


@pytest.mark.parametrize(
    ("description", "difference"),
    [
        ({"args": [2], "kwargs": {"to": "x"}}, "user_id is 1, not 2"),
        ({"args": [True], "kwargs": {"to": "x"}}, "user_id is 1, not True"),
        ({"args": [1]}, "to is 'x', not None"),
        ({"partial": {"to": "y", "fast": True}}, "fast is False, not True; to is 'x', not 'y'"),
        ({"queue": "emails"}, "queue is 'default', not 'emails'"),
        ({"run_after": AT}, "run_after is None, not 2030-12-24 18:00:00+00:00"),
        ({"run_after": HOUR}, "run_after is None, not 1:00:00"),
    ],
)
def test_a_difference_is_named(description, difference):
    tasks.send.enqueue(1, to="x")
    assert refused(tasks.send, **description).endswith(
        f"Waiting jobs, the nearest first:\n  tests.unit.testing.tasks.send(1, to='x'): {difference}"
    )
    refute_enqueued(tasks.send, **description)


@pytest.mark.parametrize(
    "description",
    [
        {"partial": {"name": "Ada"}},
        {"partial": {"name": "Ada", "shop": None}},
        {"args": ["welcome"], "partial": True},
        {"args": ["welcome", "a@b"], "partial": {"shop": None}},
        {"args": ["welcome", "a@b", "c@d"], "kwargs": {"name": "Ada", "shop": None}},
    ],
)
def test_a_part_of_the_arguments_beyond_the_parameters(description):
    tasks.mail.enqueue("welcome", "a@b", "c@d", name="Ada", shop=None)
    assert_enqueued(tasks.mail, **description)
    with pytest.raises(AssertionError, match="is enqueued"):
        refute_enqueued(tasks.mail, **description)


@pytest.mark.parametrize(
    ("description", "difference"),
    [
        ({"partial": {"name": "Bob"}}, "name is 'Ada', not 'Bob'"),
        ({"partial": {"town": "Rome"}}, "town is missing"),
        ({"args": ["welcome", "a@b", "c@d"], "partial": True}, "to[1] is missing"),
        ({"args": ["welcome", "x@y"], "partial": True}, "to[0] is 'a@b', not 'x@y'"),
        ({"args": ["welcome", "a@b"]}, "name is 'Ada', and not expected"),
        ({"args": ["welcome"], "kwargs": {"name": "Ada"}}, "to[0] is 'a@b', and not expected"),
        ({"args": ["welcome", "a@b"], "kwargs": {"name": "Ada", "town": "Rome"}}, "town is missing"),
    ],
)
def test_a_difference_beyond_the_parameters_is_named(description, difference):
    tasks.mail.enqueue("welcome", "a@b", name="Ada")
    assert refused(tasks.mail, **description).endswith(f"tasks.mail('welcome', 'a@b', name='Ada'): {difference}")
    refute_enqueued(tasks.mail, **description)


def test_the_time():
    tasks.send.using(run_after=HOUR).enqueue(1)
    assert_enqueued(tasks.send, run_after=HOUR)
    assert_enqueued(tasks.send, run_after=all_enqueued()[0].enqueued_at + HOUR + timedelta(seconds=0.5))
    assert_enqueued(tasks.send, run_after=HOUR + timedelta(seconds=0.5))
    refute_enqueued(tasks.send, run_after=HOUR + timedelta(seconds=1.5))
    refute_enqueued(tasks.send, run_after=None)
    tasks.asend.using(run_after=AT).enqueue(1)
    assert_enqueued(tasks.asend, run_after=AT)
    refute_enqueued(tasks.asend, run_after=AT + timedelta(seconds=2))


def test_the_time_without_time_zones(settings):
    settings.USE_TZ = False
    tasks.send.using(run_after=datetime(2030, 12, 24, 18)).enqueue(1)  # noqa: DTZ001 - as said
    assert_enqueued(tasks.send, run_after=datetime(2030, 12, 24, 18))  # noqa: DTZ001
    tasks.asend.using(run_after=HOUR).enqueue(1)
    assert_enqueued(tasks.asend, run_after=HOUR)


def test_the_number():
    for number in (1, 2, 2):
        tasks.send.enqueue(number)
    assert assert_enqueued(tasks.send, times=3).args == [2]
    assert_enqueued(tasks.send, args=[2], times=2)
    assert assert_enqueued(tasks.send, args=[3], times=0) is None
    assert "tests.unit.testing.tasks.send(2) is enqueued 2 times, not 1." in refused(tasks.send, args=[2], times=1)
    assert "tests.unit.testing.tasks.send(1) is enqueued once, not 2." in refused(tasks.send, args=[1], times=2)
    assert "tests.unit.testing.tasks.send(...) is enqueued 3 times, not 0." in refused(tasks.send, times=0)


def test_the_nearest_is_first():
    tasks.asend.enqueue(1)
    tasks.send.enqueue(7, fast=True, to="y")
    tasks.send.enqueue(7, to="x")
    assert refused(tasks.send, args=[7]).splitlines() == [
        "tests.unit.testing.tasks.send(7) is not enqueued.",
        "Waiting jobs, the nearest first:",
        "  tests.unit.testing.tasks.send(7, to='x'): to is 'x', not None",
        "  tests.unit.testing.tasks.send(7, fast=True, to='y'): fast is True, not False; to is 'y', not None",
        "  tests.unit.testing.tasks.asend(1)",
    ]


def test_many_jobs_are_not_all_shown():
    for number in range(15):
        tasks.send.enqueue(number)
    text = refused(tasks.asend)
    assert text.count("tasks.send(") == 10
    assert text.endswith("and 5 more")


def test_jobs_that_have_run_already():
    tasks.send.enqueue(1)
    drain()
    assert refused(tasks.send, args=[1]).splitlines() == [
        "tests.unit.testing.tasks.send(1) is not enqueued.",
        "No job is waiting.",
        "Jobs of tests.unit.testing.tasks.send in this test that have run already: 1.",
    ]


def test_a_unique_job_from_before_the_test():
    queue_for("default").enqueue([tasks.once.get_backend().job_of(tasks.once, [1], {})])
    tasks.once.enqueue(1)
    assert refused(tasks.once, args=[1]).endswith(
        "No job is waiting.\nA job of tests.unit.testing.tasks.once as described waits from before this test, such as "
        "from setUpTestData(). enqueue() adds no other while that one has the unique key. Call drain() where it is "
        "enqueued."
    )
    assert "before this test" not in refused(tasks.once, args=[2])


def test_mistakes_in_the_test_itself():
    with pytest.raises(InvalidArguments, match="it must be a list"):
        assert_enqueued(tasks.send, args=1)
    with pytest.raises(InvalidArguments, match="do not fit"):
        assert_enqueued(tasks.send, kwargs={"usr_id": 1})
    with pytest.raises(InvalidArguments, match="do not fit"):
        assert_enqueued(tasks.send, partial={"usr_id": 1})
    with pytest.raises(InvalidArguments, match="bytes"):
        refute_enqueued(tasks.send, args=[b"1"])
    with pytest.raises(LocoConfigurationError, match="not a task"):
        assert_enqueued(tasks.send.func)
    with pytest.raises(LocoConfigurationError, match=r"'tests.unit.testing.tasks.send' is not a task\. Pass the func"):
        all_enqueued("tests.unit.testing.tasks.send")
    with pytest.raises(LocoConfigurationError, match="no alias in TASKS has"):
        refute_enqueued(tasks.send, queue="nowhere")


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        ({"partial": [99]}, r"partial is \[99\]; it must be True, False or a dict of arguments"),
        ({"partial": "b"}, "partial is 'b'"),
        ({"partial": 1}, "partial is 1"),
        ({"kwargs": [1]}, r"kwargs is \[1\]; it must be a dict"),
        ({"queue": 5}, "queue is 5; it must be the name of a queue"),
        ({"queue": ["default"]}, r"queue is \['default'\]"),
        ({"run_after": 5}, "run_after is 5; it must be a timedelta, an aware datetime or None"),
        ({"run_after": datetime(2030, 1, 1)}, r"run_after is datetime.datetime\(2030"),  # noqa: DTZ001 - as said
        ({"run_after": "2030-01-01"}, "run_after is '2030"),
    ],
)
def test_a_description_that_no_job_could_meet(description, problem, settings):
    settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": []}}
    tasks.send.enqueue(1)
    for function in (assert_enqueued, refute_enqueued):
        with pytest.raises((LocoConfigurationError, InvalidArguments), match=problem):
            function(tasks.send, **description)


@pytest.mark.parametrize("times", [True, 1.0, "1", -1])
def test_a_number_of_jobs_that_cannot_be(times):
    tasks.send.enqueue(1)
    with pytest.raises(LocoConfigurationError, match=f"times is {times!r}; it must be a whole number, 0 or more"):
        assert_enqueued(tasks.send, times=times)


def test_arguments_that_are_missing_may_be_meant_as_a_part():
    with pytest.raises(InvalidArguments, match=r"'user_id'\. If they are some of the arguments, add partial=True"):
        assert_enqueued(tasks.send, kwargs={"fast": True})
    with pytest.raises(InvalidArguments) as caught:
        assert_enqueued(tasks.send, kwargs={"fsat": True})
    assert "partial" not in str(caught.value)


def test_a_task_of_another_backend(settings):
    package = BaseTaskBackend.__module__.rpartition(".")[0]
    settings.TASKS = {**settings.TASKS, "other": {"BACKEND": f"{package}.dummy.DummyBackend"}}
    with pytest.raises(LocoConfigurationError, match="DummyBackend"):
        assert_enqueued(tasks.send.using(backend="other"))
