"""The lazy search: what it yields, counts and does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_loco import jobs
from django_loco.jobs.search import Count
from django_loco.queues import queue_for
from tests.unit.jobs.conftest import found, make_job, run


@pytest.fixture
def many(queue):
    """Thirty waiting jobs, the newest first."""
    made = [make_job(number, age=number, tags=("even",) if number % 2 == 0 else ()) for number in range(30)]
    queue.enqueue(made)
    return made


def test_nothing_is_read_before_it_is_needed(queue, stored):
    search = jobs.filter("status:waiting")
    job = stored(age=1)
    assert list(search) == [job]
    assert list(search.ids()) == [job.id]
    later = stored()
    assert list(search) == [later, job]


def test_first_exists_and_truth(many):
    assert jobs.filter("tag:even").first() == many[0]
    assert jobs.filter("tag:even").exists()
    assert bool(jobs.filter("tag:even"))
    assert jobs.filter("tag:odd").first() is None
    assert not jobs.filter("tag:odd")


def test_filters_narrow(many):
    search = jobs.filter("tag:even").filter("args.0:4")
    assert [job.id for job in search] == [many[4].id]
    assert str(search) == "tag:even args.0:4"
    assert list(jobs.filter("tag:even", args={0: 5})) == []


@given(st.lists(st.tuples(*[st.none() | st.integers(0, 40)] * 2), min_size=1, max_size=3))
def test_slices_are_those_of_a_list(slices):
    queue = queue_for("default")
    queue.clear()
    queue.enqueue([make_job(age=number) for number in range(30)])
    search, expected = jobs.filter(), [job.id for job in jobs.filter()]
    for start, stop in slices:
        search, expected = search[start:stop], expected[start:stop]
    assert list(search.ids()) == expected
    assert search.count() == len(expected)
    assert search.exists() == bool(expected)


def test_places(many):
    assert jobs.filter()[3] == many[3]
    assert jobs.filter()[10:20][3] == many[13]
    with pytest.raises(IndexError, match="fewer than 31 jobs match"):
        jobs.filter()[30]


@pytest.mark.parametrize("place", [-1, slice(-1, None), slice(None, -1), slice(0, 10, 2)])
def test_places_that_would_need_the_whole_list(place):
    with pytest.raises(ValueError, match=r"places? from 0 on"):
        jobs.filter()[place]


def test_a_slice_is_not_filtered():
    with pytest.raises(ValueError, match="filter first"):
        jobs.filter()[:5].filter("tag:a")


def test_how_a_search_is_shown():
    assert repr(jobs.filter("status:failed")) == "jobs.filter('status:failed')"
    assert repr(jobs.filter(tag="a b")[5:]) == "jobs.filter('tag:\"a b\"')[5:]"
    assert repr(jobs.filter()[:50]) == "jobs.filter('')[:50]"


def test_counts(many):
    assert jobs.filter("tag:even").count() == 15
    assert not jobs.filter("tag:even").count(15).is_capped
    capped = jobs.filter("tag:even").count(10)
    assert (capped, capped.is_capped, capped.text) == (10, True, "10+")
    assert jobs.filter("tag:even")[:12].count(10).is_capped
    assert jobs.filter("tag:even")[10:].count() == 5


def test_queues_count_what_they_can(many, stored, monkeypatch):
    stored("failed", backend="other", queue_name="x")
    monkeypatch.setattr(queue_for("default"), "list", None)
    assert jobs.filter().count() == 31
    assert jobs.filter("status:ready").count(30) == 30
    assert jobs.filter("status:ready").count(10).text == "10+"
    assert jobs.filter("status:failed,cancelled").count() == 1
    assert jobs.filter("queue:x").count() == jobs.filter("backend:other").count() == 1
    assert jobs.filter("queue:x status:done").count() == 0


def test_a_count_within_a_window_says_so(many):
    count = jobs.filter("tag:even", window=10).count()
    assert (count, count.text) == (5, "5+")
    assert jobs.filter(window=10).count().text == "10+"
    assert jobs.filter(window=30).count().text == "30"


def test_a_count_is_a_number():
    assert Count(10_000, is_capped=True) == 10_000
    assert Count(10_000, is_capped=True).text == "10,000+"
    assert Count(7).text == "7"


def test_pages_lead_to_the_next_ones(many):
    search, before, found_ids = jobs.filter("tag:even"), None, []
    for _ in range(3):
        page = search.page(5, before=before)
        found_ids += [job.id for job in page.jobs]
        before = page.next
    assert found_ids == [job.id for job in many[::2]]
    assert before is not None
    assert search.page(5, before=before).jobs == []
    assert search.page(5, before=before).next is None


def test_a_page_within_a_window(many):
    page = jobs.filter("args.0:25", window=10).page(5)
    assert (page.jobs, page.looked_at, page.reached_window, page.next) == ([], 10, True, many[9].id)
    page = jobs.filter("args.0:25", window=20).page(5, before=page.next)
    assert [job.id for job in page.jobs] == [many[25].id]
    assert (page.reached_window, page.next) == (False, None)


def test_operations_are_done_with_all_that_match(many, queue):
    assert jobs.filter("tag:even").cancel(by="anna") == 15
    assert jobs.filter("status:cancelled").count() == 15
    assert jobs.filter("status:cancelled")[:4].retry() == 4
    assert jobs.filter("tag:even status:cancelled").delete() == 11
    assert jobs.filter("tag:even").move(queue="emails") == 4
    assert jobs.filter("queue:emails").update(priority=7) == 4
    assert jobs.filter("priority:7").discard() == 4
    assert jobs.filter().count() == 19


def test_durations_count_from_when_the_search_was_made(stored):
    search = jobs.filter(older=timedelta(0))
    stored()
    assert list(search) == []
    assert search.cancel() == 0


def test_several_aliases_at_once(stored):
    kept = [stored("failed", backend=alias) for alias in ("default", "other")]
    assert jobs.filter("status:failed").retry() == 2
    assert all(jobs.get(job).status == "READY" for job in kept)


def test_a_job_that_starts_meanwhile_is_left_alone(many, queue):
    search = jobs.filter("status:waiting args.0:3")
    held = run(queue, many[3])
    assert search.cancel() == 0
    assert found(queue, held) == held


def test_an_operation_reads_only_what_it_takes(stored, queue, monkeypatch):
    for state in ("waiting", "failed", "done"):
        stored(state)
    asked, original = set(), queue.list

    def listing(**kwargs):
        asked.add(kwargs["status"])
        return original(**kwargs)

    monkeypatch.setattr(queue, "list", listing)
    assert jobs.filter("task:echo").retry() == 1
    assert asked == {"FAILED"}


def test_a_slice_is_taken_before_that(stored):
    stored("failed", age=2), stored(age=1), stored(age=0)
    assert jobs.filter()[:2].retry() == 0
    assert jobs.filter()[2:].retry() == 1


def test_an_operation_says_that_it_ended_at_the_window(many):
    count = jobs.filter(window=10).cancel()
    assert (count, count.is_capped) == (10, True)
    assert not jobs.filter(window=30).cancel().is_capped
