"""The clock that a test moves."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import async_to_sync

from django_loco.core import running_tests
from django_loco.core.job import utcnow
from django_loco.exceptions import LocoConfigurationError
from django_loco.queues import queue_for
from django_loco.scheduler import Registry, Scheduler
from django_loco.testing import all_enqueued, travel

from . import tasks

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
CHRISTMAS = datetime(2030, 12, 24, 18, tzinfo=UTC)


def assert_is(moment: datetime, expected: datetime) -> None:
    assert expected <= moment < expected + MINUTE


def test_it_shows_a_time_and_goes_on():
    with travel(CHRISTMAS):
        first = utcnow()
        assert_is(first, CHRISTMAS)
        assert utcnow() > first
    assert_is(utcnow(), datetime.now(UTC) - timedelta(seconds=30))
    assert running_tests.clock_shift is None


def test_blocks_are_nested():
    with travel(CHRISTMAS):
        with travel(HOUR):
            assert_is(utcnow(), CHRISTMAS + HOUR)
            with travel(-HOUR):
                assert_is(utcnow(), CHRISTMAS)
            with travel(CHRISTMAS - HOUR):
                assert_is(utcnow(), CHRISTMAS - HOUR)
        assert_is(utcnow(), CHRISTMAS)


def test_it_goes_back_after_an_error():
    with pytest.raises(LookupError), travel(HOUR):
        raise LookupError
    assert running_tests.clock_shift is None


@travel(CHRISTMAS)
def test_as_a_decorator():
    assert_is(utcnow(), CHRISTMAS)


def test_as_a_decorator_of_an_async_test():
    seen = []

    @travel(CHRISTMAS)
    async def body():
        seen.append(utcnow())

    async_to_sync(body)()
    assert_is(seen[0], CHRISTMAS)
    assert running_tests.clock_shift is None


def test_a_class_of_tests_is_refused():
    with pytest.raises(LocoConfigurationError, match=r"^travel\(\) decorates functions, .*CheckoutTests"):
        travel(HOUR)(type("CheckoutTests", (), {}))


def test_all_threads_see_it():
    seen = []
    with travel(CHRISTMAS):
        thread = threading.Thread(target=lambda: seen.append(utcnow()))
        thread.start()
        thread.join(10)
    assert_is(seen[0], CHRISTMAS)


@pytest.mark.parametrize("to", [datetime(2030, 12, 24), "tomorrow", 60])  # noqa: DTZ001 - as the test says
def test_what_is_no_moment(to):
    with pytest.raises(LocoConfigurationError, match="aware datetime"), travel(to):
        pass


def test_delays_count_from_it():
    with travel(CHRISTMAS):
        tasks.send.using(run_after=HOUR).enqueue(1)
    assert_is(all_enqueued()[0].task.run_after, CHRISTMAS + HOUR)


def test_the_queue_of_a_worker_follows():
    tasks.send.using(run_after=HOUR).enqueue(1)
    assert queue_for("default").oldest_due() is None
    with travel(HOUR):
        assert queue_for("default").oldest_due() is not None


def test_schedules_fire_at_its_times():
    registry = Registry(strict=True)
    registry.daily(tasks.send, at="18:30", timezone="UTC", args=[1], name="dinner")
    with travel(CHRISTMAS):
        assert_is(registry.entry("dinner").trigger.next_after(utcnow()), CHRISTMAS + 30 * MINUTE)
        running = Scheduler(registry)
        running.load()
        running.fire_due()
        assert all_enqueued() == []
        with travel(31 * MINUTE):
            running.fire_due()
            running.fire_due()
    assert [result.args for result in all_enqueued()] == [[1]]
