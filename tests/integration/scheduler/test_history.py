"""What a schedule has made, as its queue tells it."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from django_loco import scheduler
from django_loco.core.job import FAILED, SUCCESSFUL, Outcome
from django_loco.exceptions import LocoConfigurationError, QueueUnavailable
from django_loco.queues import Claim, queue_for
from django_loco.scheduler.api.history import last_runs
from django_loco.testing.contract.case import error_of
from tests.unit.scheduler.tasks import tick

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def registry(own_schedules):
    own_schedules.every_minute(tick, name="beat")
    own_schedules.cron("* * * * *", tick, name="beat@night", timezone="Europe/Berlin")
    own_schedules.hourly(tick, name="never")
    return own_schedules


def fire(registry, name, *ticks):
    entry = registry.entry(name)
    for moment in ticks:
        backend = entry.task.get_backend()
        assert backend.enqueue_tick(tick, [], {}, key=entry.key(moment), tick=moment) is not None
    time.sleep(0.002)  # ids tell milliseconds apart


def end(queue, status=SUCCESSFUL):
    held = queue.fetch(Claim(worker_id="w", lease=30, threads=10, coroutines=10))
    error = error_of("no") if status == FAILED else None
    queue.finish([Outcome(job=job, status=status, error=error) for job in held])


def test_the_ticks_of_a_schedule(registry, any_queue):
    fire(registry, "beat", NOON - 2 * MINUTE)
    end(any_queue)
    fire(registry, "beat", NOON - MINUTE)
    end(any_queue, FAILED)
    fire(registry, "beat", NOON)
    fire(registry, "beat@night", NOON)
    third, second, first = scheduler.history("beat")
    assert [tick.due for tick in (first, second, third)] == [NOON - 2 * MINUTE, NOON - MINUTE, NOON]
    assert [tick.status for tick in (first, second, third)] == ["SUCCESSFUL", "FAILED", "READY"]
    assert [tick.error for tick in (first, second, third)] == ["", "builtins.ValueError", ""]
    assert third.ended is None
    assert second.ended >= second.fired
    assert second.late == round((second.fired - second.due).total_seconds(), 3)
    assert any_queue.get(third.job).key == "beat@2026-11-21T12:00:00+00:00"
    assert scheduler.history("beat", 2) == [third, second]
    assert scheduler.history("never") == []


def test_what_was_made_without_a_time(registry, any_queue):
    job = scheduler.run("beat").id
    time.sleep(0.002)  # ids tell milliseconds apart
    entry = registry.entry("beat").at_start(NOON, "v1@host")
    entry.task.get_backend().enqueue_tick(tick, [], {}, key=entry.key(NOON), tick=NOON)
    deployed, by_hand = scheduler.history("beat")
    assert (by_hand.job, by_hand.due, by_hand.late, deployed.due) == (job, None, None, None)
    assert by_hand.tick.startswith("run 20")
    assert deployed.tick == "release v1 host"


def test_the_last_run_is_found_behind_any_number_of_other_jobs(registry, any_queue):
    fire(registry, "beat", NOON, NOON + 2 * MINUTE, NOON + MINUTE)
    fire(registry, "beat@night", *(NOON - number * MINUTE for number in range(1100)))
    last = last_runs(registry.entries())
    assert set(last) == {"beat", "beat@night"}
    assert (last["beat"].at, last["beat"].status) == (NOON + 2 * MINUTE, "READY")


def test_a_queue_that_is_away_is_asked_once(registry, any_queue, monkeypatch):
    asked = []

    def away(self, names, limit=100):
        asked.append(names)
        raise QueueUnavailable("away")

    for name in ("series", "each_series"):
        monkeypatch.setattr(type(any_queue), name, away)
    assert last_runs(registry.entries()) == {}
    assert len(asked) == 1
    with pytest.raises(CommandError, match="Cannot read the history of schedule 'beat': away"):
        call_command("loco_scheduler", "--history", "beat")


@pytest.mark.django_db(transaction=True)
def test_a_schedule_that_there_is_not(registry):
    with pytest.raises(LocoConfigurationError, match=r"there is no schedule 'baet'\. Did you mean 'beat'"):
        scheduler.history("baet")
    with pytest.raises(CommandError, match="there is no schedule 'baet'"):
        call_command("loco_scheduler", "--history", "baet")


@pytest.mark.django_db(transaction=True)
def test_the_command(registry, capsys):
    fire(registry, "beat@night", NOON - MINUTE)
    end(queue_for("default"), FAILED)
    scheduler.run("beat@night")
    call_command("loco_scheduler", "--history", "beat@night")
    heading, by_hand, at_noon = capsys.readouterr().out.splitlines()
    assert heading.split() == ["DUE", "FIRED", "LATE", "STATUS", "ENDED", "JOB", "ERROR"]
    assert by_hand.startswith("by hand  ")
    assert at_noon.startswith("2026-11-21 12:59:00 CET  ")
    assert at_noon.endswith("builtins.ValueError")
    call_command("loco_scheduler", "--history", "beat@night", "--format", "json")
    by_hand, at_noon = json.loads(capsys.readouterr().out)
    assert (by_hand["due"], by_hand["late"], by_hand["status"]) == (None, None, "READY")
    assert (at_noon["due"], at_noon["status"]) == ("2026-11-21T11:59:00+00:00", "FAILED")
    assert at_noon["late"] == pytest.approx(scheduler.history("beat@night")[1].late)
    call_command("loco_scheduler", "--history", "never")
    assert capsys.readouterr().out == "The queue has no jobs of schedule 'never'.\n"
