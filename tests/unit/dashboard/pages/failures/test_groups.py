"""Failed jobs in groups."""

from __future__ import annotations

from datetime import timedelta

from django_loco.core.compat import TaskError
from django_loco.core.job import FAILED, Job, utcnow
from django_loco.dashboard.pages.failures.groups import POINTS, grouped

NOW = utcnow()


def failed(message, *, task="shop.pay", kind="builtins.ValueError", ago=timedelta(0)):
    error = TaskError(exception_class_path=kind, traceback=f"ValueError: {message}")
    return Job(
        task_path=task, backend="default", arguments="[[], {}]", status=FAILED, errors=[error], finished_at=NOW - ago
    )


def test_jobs_with_the_same_error_are_one_group_the_largest_first():
    jobs = [failed("no key"), failed("order 1"), failed("order 2", task="shop.bill"), failed("order 3")]
    groups = grouped(jobs, NOW - timedelta(hours=1))
    assert [(group.message, len(group.ids)) for group in groups] == [("order #", 3), ("no key", 1)]
    assert groups[0].newest is jobs[1]
    assert groups[0].tasks == {"shop.pay": 2, "shop.bill": 1}
    assert len({group.key for group in groups}) == 2


def test_other_classes_are_other_groups():
    assert len(grouped([failed("a"), failed("a", kind="shop.Other")], NOW - timedelta(hours=1))) == 2


def test_jobs_that_failed_before_the_period_are_left_out():
    jobs = [failed("a", ago=timedelta(hours=2)), failed("a", ago=timedelta(minutes=59))]
    assert [group.ids for group in grouped(jobs, NOW - timedelta(hours=1))] == [[jobs[1].id]]


def test_a_job_without_an_error_is_a_group():
    job = Job(task_path="a.b", backend="default", arguments="[[], {}]", status=FAILED, finished_at=NOW)
    [group] = grouped([job], NOW - timedelta(hours=1))
    assert (group.kind, group.message) == ("", "")


def test_the_line_has_the_number_of_each_part_of_the_period():
    start = NOW - timedelta(hours=POINTS)
    [group] = grouped([failed("a", ago=timedelta(hours=ago)) for ago in (0.5, 0.6, 2.5)], start)
    assert group.points(start, NOW) == [*[0] * (POINTS - 3), 1, 0, 2]
