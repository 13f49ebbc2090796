from __future__ import annotations

import random

import pytest

from django_loco.core.job.limits import (
    UNLIMITED,
    KeyTimes,
    Limit,
    Limiter,
    interval_of,
    is_limit_key,
    limits_of,
    problems_of_limit,
    problems_of_limits,
)

SECOND = 1_000_000
NOW = 1_790_000_000 * SECOND


def limiter(limit, now=NOW, running=None, **times):
    return Limiter({"api": limit}, now, running=(running or {}).items, times=times)


@pytest.mark.parametrize(
    ("rate", "interval"),
    [("20/s", 50_000), ("100/m", 600_000), ("1/h", 3600 * SECOND), ("3/s", 333_334), ("1/d", 86400 * SECOND)],
)
def test_the_interval_of_a_rate_is_rounded_up(rate, interval):
    assert interval_of(rate) == interval


def test_a_job_begins_when_its_interval_is_over_and_not_a_microsecond_before():
    first = limiter(limit := Limit(rate="20/s"))
    assert first.room("api") == 1
    first.start("api")
    assert first.room("api") == 0
    assert first.opens_at("api") == NOW + 50_000
    times = first.changed["api"]
    assert limiter(limit, NOW + 49_999, api=times).room("api") == 0
    assert limiter(limit, NOW + 50_000, api=times).room("api") == 1


def test_a_burst_comes_back_interval_by_interval():
    limit = Limit(rate="1/s", burst=3)
    first = limiter(limit)
    assert first.room("api") == 3
    first.start("api", 3)
    assert first.room("api") == 0
    assert first.opens_at("api") == NOW + SECOND
    times = first.changed["api"]
    assert [limiter(limit, NOW + each * SECOND, api=times).room("api") for each in (1, 2, 3, 100)] == [1, 2, 3, 3]


@pytest.mark.parametrize(("rate", "burst"), [("7/s", 1), ("100/m", 20), ("3/s", 3)])
def test_no_period_has_more_starts_than_the_rate_and_the_burst(rate, burst):
    limit, draw, now, times, starts = Limit(rate=rate, burst=burst), random.Random(7), NOW, KeyTimes(), []
    for _ in range(2_000):
        now += draw.choice((0, 1, interval_of(rate) // 3, interval_of(rate) * 2))
        each = limiter(limit, now, api=times)
        if each.has_room("api"):
            each.start("api")
            starts.append(now)
            times = each.changed["api"]
        else:
            assert each.next_opening > now
    number, letter = rate.split("/")
    period = {"s": 1, "m": 60}[letter] * SECOND
    most = max(sum(start <= other < start + period for other in starts) for start in starts)
    assert most <= int(number) + burst - 1
    assert len(starts) > 100


def test_a_start_that_is_given_back_can_be_had_again_and_no_more():
    limit = Limit(rate="1/s", burst=3)
    each = limiter(limit)
    each.start("api db", 3)
    each.give_back(("api", "db"))
    assert each.room("api") == 1
    assert "db" not in each.changed
    each.give_back(("api",) * 9)
    assert each.room("api") == 3
    assert each.changed["api"].tat == NOW, "a bucket that is empty has nothing to give"


def test_a_start_is_given_back_as_far_as_it_has_not_passed():
    limit = Limit(rate="1/s")
    later = limiter(limit, NOW + SECOND - 1, api=KeyTimes(tat=NOW + SECOND))
    later.give_back(("api",))
    assert later.changed["api"].tat == NOW + SECOND - 1
    later = limiter(limit, NOW + SECOND, api=KeyTimes(tat=NOW + SECOND))
    later.give_back(("api",))
    assert later.changed == {}


def test_a_key_is_closed_for_the_longest_time_that_somebody_says():
    each = limiter(Limit(concurrency=1))
    each.close(("api", "db"), 2)
    each.close(("api",), 1)
    assert {key: times.closed_until - NOW for key, times in each.changed.items()} == {
        "api": 2 * SECOND,
        "db": 2 * SECOND,
    }


def test_a_clock_that_was_put_back_closes_a_key_for_an_interval_at_most():
    limit = Limit(rate="1/s", burst=2)
    behind = limiter(limit, NOW - 3600 * SECOND, api=KeyTimes(tat=NOW))
    assert behind.room("api") == 0
    assert behind.opens_at("api") == NOW - 3599 * SECOND
    assert behind.changed["api"].tat == NOW - 3598 * SECOND, "else it would stay closed"


def test_a_clock_that_was_put_back_closes_a_key_for_no_longer_than_was_said():
    closed = limiter(Limit(rate="1/s"))
    closed.close(["api"], 5)
    behind = limiter(Limit(rate="1/s"), NOW - 3600 * SECOND, api=closed.changed["api"])
    assert behind.opens_at("api") == NOW - 3595 * SECOND
    later = limiter(Limit(rate="1/s"), NOW - 3595 * SECOND, api=behind.changed["api"])
    assert later.has_room("api")
    older = KeyTimes(closed_until=NOW + 5 * SECOND)
    assert limiter(Limit(rate="1/s"), NOW - SECOND, api=older).opens_at("api") == NOW + 5 * SECOND


def test_concurrency_counts_what_runs_of_a_key_in_any_job():
    each = limiter(Limit(concurrency=3), running={"api": 1, "api db": 1, "api:7": 9})
    assert each.room("api") == 1
    assert each.room("db") == UNLIMITED
    assert each.room("api:8 db") == 3
    assert each.room("api:7") == 0
    assert each.opens_at("api:7") is None
    each.start("db api")
    assert not each.has_room("api")
    assert each.next_opening is None


def test_a_closed_key_opens_when_it_says_so():
    each = limiter(Limit(concurrency=1), api=KeyTimes(closed_until=NOW + 1), other=KeyTimes(closed_until=NOW))
    assert each.room("api") == each.room("api other") == 0
    assert each.room("other") == UNLIMITED
    assert each.opens_at("other api") == NOW + 1


def test_a_limit_that_is_not_declared_holds_nothing_back():
    each = limiter(Limit(concurrency=1), gone=KeyTimes(closed_until=NOW + SECOND))
    assert each.has_room("gone")
    assert each.opens_at("gone") == NOW


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (7, "LIMITS is 7; it must be a dict such as"),
        ({}, "LIMITS limits nothing; add a concurrency, a rate, or both."),
        ({"burst": 3, "concurrency": 3}, "LIMITS has a burst, but no rate."),
        ({"rate": "0/m"}, "LIMITS['rate'] is '0/m'; it must be jobs per second, minute, hour or day"),
        ({"rate": "100/fortnight"}, "LIMITS['rate'] is '100/fortnight'; it must be jobs per second"),
        ({"rate": 5}, "LIMITS['rate'] is 5; it must be jobs per second"),
        ({"rate": "1000001/s"}, "LIMITS['rate'] is '1000001/s'; it must be jobs per second"),
        ({"concurrency": 0}, "LIMITS['concurrency'] is 0; it must be a whole number, 1 or more."),
        ({"concurrency": True}, "LIMITS['concurrency'] is True; it must be"),
        ({"rate": "1/s", "burst": 0}, "LIMITS['burst'] is 0; it must be"),
        ({"concurency": 1}, "LIMITS['concurency'] is unknown. Did you mean 'concurrency'?"),
        ({7: 1}, "LIMITS[7] is unknown. Choices are: concurrency, rate, burst."),
    ],
)
def test_a_wrong_limit_is_named(given, problem):
    [found] = problems_of_limit("LIMITS", given)
    assert found.startswith(problem)


def test_a_limit_is_read():
    assert problems_of_limit("LIMITS", {"concurrency": None, "rate": "1/s", "burst": None}) == []
    assert limits_of({"api": {"concurrency": 5, "rate": None}, "db": {"rate": "1/s", "burst": 2}}) == {
        "api": Limit(concurrency=5),
        "db": Limit(rate="1/s", burst=2),
    }


def test_limit_keys_are_plain_text():
    assert is_limit_key("api")
    assert is_limit_key("api:42 db:%C3%A4")
    for text in ("", " api", "api ", "api  db", "api\tdb", "api\x0bdb", "ä"):
        assert not is_limit_key(text)


def test_the_names_of_limits_are_checked_too():
    [of_name, of_limit] = problems_of_limits({"no name": {"rate": "1/s"}, "api": {}})
    assert of_name.startswith("LOCO['LIMITS'] has 'no name'; a name must be")
    assert of_limit.startswith("LOCO['LIMITS']['api'] limits nothing")
