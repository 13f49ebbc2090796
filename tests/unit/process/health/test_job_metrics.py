"""The metrics of all jobs, from what is known of their queues."""

from __future__ import annotations

import pytest

from django_loco import jobs
from django_loco.core.job import utcnow
from django_loco.metrics import names
from django_loco.metrics.exposition import text_of
from django_loco.process.health import job_metrics
from django_loco.process.health.snapshots import Snapshot
from django_loco.queues.records.minutes import NUMBERS, TOTAL, Labels, Minute
from django_loco.queues.records.pauses import JobPause


def stats(queue: str, *, ready: int = 0, age: float | None = None, is_paused: bool = False) -> jobs.QueueStats:
    none = jobs.Count(0)
    return jobs.QueueStats(
        backend="default",
        queue=queue,
        ready=jobs.Count(ready),
        running=none,
        failed=none,
        done=none,
        oldest_due_age=age,
        is_paused=is_paused,
    )


def worker(heartbeat_age: float) -> jobs.AliasWorker:
    return jobs.AliasWorker(
        backend="default",
        worker_id="web-1:7:abc",
        host="web-1",
        pid=7,
        queues=None,
        tags=None,
        threads=10,
        coroutines=100,
        lease=30.0,
        started_at=utcnow(),
        busy=3,
        heartbeat_age=heartbeat_age,
    )


def total(outcome: str, runs: int, *, task: str = "shop.send", queue: str = "default", **numbers: int) -> Minute:
    values = dict.fromkeys(NUMBERS, 0) | {"count": runs} | numbers
    return Minute(Labels(TOTAL, queue, task, outcome), tuple(values.values()))


@pytest.fixture
def shown(monkeypatch):
    def shown(found: Snapshot | None, schedules: int | None = None) -> set[str]:
        monkeypatch.setattr(job_metrics, "snapshots", lambda: {"default": found})
        monkeypatch.setattr(job_metrics, "schedules_on", lambda: schedules)
        return set(text_of(job_metrics.job_families()).splitlines())

    return shown


def test_queues_have_gauges_also_those_without_jobs(shown):
    found = [stats("mail", ready=5, age=12.5), stats("old", is_paused=True)]
    lines = shown(Snapshot(found, [], [], frozenset({"default", "mail"})))
    assert {
        'loco_queue_up{backend="default"} 1',
        'loco_queue_jobs{backend="default",queue="mail",state="ready"} 5',
        'loco_queue_jobs{backend="default",queue="default",state="ready"} 0',
        'loco_queue_oldest_due_age_seconds{backend="default",queue="mail"} 12.5',
        'loco_queue_oldest_due_age_seconds{backend="default",queue="default"} 0',
        'loco_queue_paused{backend="default",queue="old"} 1',
        'loco_queue_paused{backend="default",queue="mail"} 0',
        'loco_workers{backend="default"} 0',
    } <= lines


def test_the_size_of_the_store_is_shown_if_it_is_known(shown):
    assert 'loco_store_bytes{backend="default"} 4096' in shown(Snapshot([], [], [], frozenset(), 4096))
    assert not [line for line in shown(Snapshot([], [], [], frozenset())) if "loco_store_bytes" in line]


def test_pauses_of_tasks_and_tags_are_counted_not_named(shown):
    pauses = frozenset({JobPause("tag", "a"), JobPause("tag", "b"), JobPause("task", "shop.send")})
    assert {
        'loco_jobs_paused{backend="default",kind="tag"} 2',
        'loco_jobs_paused{backend="default",kind="task"} 1',
    } <= shown(Snapshot([], [], [], frozenset(), pauses=pauses))
    assert 'loco_jobs_paused{backend="default",kind="tag"} 0' in shown(Snapshot([], [], [], frozenset()))


def test_limits_are_shown_by_their_names_and_keys_are_counted(shown):
    numbers = {"waiting": 7, "running": 2, "closed": 3, "opens_at": None}
    rule = {"concurrency": 2, "rate": None, "burst": 1, "is_changed": False}
    state = jobs.LimitState(backend="default", name="api", **rule, **numbers)
    assert {
        'loco_limit_jobs{backend="default",limit="api",state="waiting"} 7',
        'loco_limit_jobs{backend="default",limit="api",state="running"} 2',
        'loco_limit_closed_keys{backend="default",limit="api"} 3',
    } <= shown(Snapshot([], [], [], frozenset(), limits=[state]))


def test_queues_beyond_the_limit_are_shown_together_and_those_of_the_settings_by_name(shown, monkeypatch):
    monkeypatch.setattr(names, "MAX_NAMES", 3)
    found = [
        stats("z", ready=7, age=70.0),
        stats("customer-1", ready=1, age=10.0),
        stats("customer-2", ready=2),
        stats("customer-3", ready=3, age=30.0),
        stats("customer-4", ready=4, age=20.0, is_paused=True),
        stats("(other)", ready=5),
    ]
    lines = shown(Snapshot(found, [], [], frozenset({"z", "y"})))
    numbers = {line for line in lines if 'state="ready"' in line or "age" in line or "paused{" in line}
    other = 'backend="default",queue="(other)"'
    assert numbers >= {
        'loco_queue_jobs{backend="default",queue="z",state="ready"} 7',
        'loco_queue_oldest_due_age_seconds{backend="default",queue="z"} 70',
        'loco_queue_jobs{backend="default",queue="y",state="ready"} 0',
        f'loco_queue_jobs{{{other},state="ready"}} 15',
        f"loco_queue_oldest_due_age_seconds{{{other}}} 30",
        f"loco_queue_paused{{{other}}} 1",
    }
    assert len([line for line in lines if line.startswith("loco_queue_oldest_due_age_seconds{")]) == 3


def test_limits_beyond_the_limit_of_names_are_shown_together(shown, monkeypatch):
    monkeypatch.setattr(names, "MAX_NAMES", 1)
    rest = {"concurrency": 2, "rate": None, "burst": 1, "is_changed": False, "opens_at": None}
    numbers = {"waiting": 7, "running": 2, "closed": 3}
    found = [jobs.LimitState(backend="default", name=name, **rest, **numbers) for name in ("a", "b", "c")]
    assert {
        'loco_limit_jobs{backend="default",limit="a",state="waiting"} 7',
        'loco_limit_jobs{backend="default",limit="(other)",state="waiting"} 14',
        'loco_limit_jobs{backend="default",limit="(other)",state="running"} 4',
        'loco_limit_closed_keys{backend="default",limit="(other)"} 6',
    } <= shown(Snapshot([], [], [], frozenset(), limits=found))


def test_only_live_workers_count(shown):
    lines = shown(Snapshot([], [worker(1.0), worker(2.0), worker(31.0)], [], frozenset()))
    assert {
        'loco_workers{backend="default"} 2',
        'loco_slots{backend="default",kind="threads"} 20',
        'loco_slots{backend="default",kind="coroutines"} 200',
        'loco_slots_busy{backend="default"} 6',
    } <= lines


def test_only_live_schedulers_count_where_they_show_themselves(shown):
    found = Snapshot([], [], [], frozenset())
    with_schedulers = found._replace(schedulers=[worker(1.0), worker(31.0)])
    assert 'loco_schedulers{backend="default"} 1' in shown(with_schedulers)
    assert 'loco_schedulers{backend="default"} 0' in shown(found._replace(schedulers=[]))
    assert not [line for line in shown(found) if "loco_schedulers" in line]


def test_the_number_of_schedules_is_shown_if_it_is_known(shown):
    found = Snapshot([], [], [], frozenset())
    assert "loco_schedules 0" in shown(found, schedules=0)
    assert "loco_schedules 7" in shown(None, schedules=7), "they are not in the store of an alias"
    assert not [line for line in shown(found) if "loco_schedules" in line]


def test_counters_and_histograms_are_the_totals(shown):
    totals = [
        total("enqueued", 9),
        total("successful", 4, duration_5=4, duration_micros=8_000_000, wait_0=4, wait_micros=1_000),
        total("failed", 2, duration_5=1, duration_12=1, duration_micros=5_000_000_000, wait_0=2),
        total("successful", 1, task="shop.other", wait_12=1, wait_micros=1_500_000),
    ]
    lines = shown(Snapshot([], [], totals, frozenset()))
    task = 'backend="default",queue="default",task="shop.send"'
    assert {
        f"loco_jobs_enqueued_total{{{task}}} 9",
        f'loco_jobs_finished_total{{{task},outcome="successful"}} 4',
        f'loco_jobs_finished_total{{{task},outcome="failed"}} 2',
        f'loco_job_duration_seconds_bucket{{{task},le="1"}} 0',
        f'loco_job_duration_seconds_bucket{{{task},le="3"}} 5',
        f'loco_job_duration_seconds_bucket{{{task},le="3000"}} 5',
        f'loco_job_duration_seconds_bucket{{{task},le="+Inf"}} 6',
        f"loco_job_duration_seconds_sum{{{task}}} 5008",
        f"loco_job_duration_seconds_count{{{task}}} 6",
        'loco_job_wait_seconds_bucket{backend="default",queue="default",le="0.01"} 6',
        'loco_job_wait_seconds_count{backend="default",queue="default"} 7',
        'loco_job_wait_seconds_sum{backend="default",queue="default"} 1.501',
    } <= lines
    assert not [line for line in lines if 'outcome="enqueued"' in line]


def test_the_first_failure_of_a_task_is_an_increase(shown):
    lines = shown(Snapshot([], [], [total("successful", 4)], frozenset()))
    task = 'backend="default",queue="default",task="shop.send"'
    assert {line for line in lines if line.startswith("loco_jobs_finished_total")} == {
        f'loco_jobs_finished_total{{{task},outcome="successful"}} 4',
        f'loco_jobs_finished_total{{{task},outcome="failed"}} 0',
        f'loco_jobs_finished_total{{{task},outcome="lost"}} 0',
    }


def test_a_queue_that_is_away_says_so_and_nothing_else(shown):
    assert {line for line in shown(None) if not line.startswith("#")} == {'loco_queue_up{backend="default"} 0'}
