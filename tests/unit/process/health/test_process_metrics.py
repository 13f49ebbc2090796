"""The metrics of a process come from its health."""

from __future__ import annotations

from django_loco.metrics.exposition import text_of
from django_loco.metrics.tick_counts import FIRED, SKIPPED, TickCounts
from django_loco.process.health import process_metrics, report
from django_loco.process.health.process_metrics import SHOWN, process_families

from .support import RUNNING, Supervised


def lines() -> list[str]:
    return [line for line in text_of(process_families()).splitlines() if not line.startswith("#")]


def test_numbers_of_components_are_shown_by_name():
    worker = RUNNING | {"last_poll_age": 0.5, "running": 2, "buffered": 1, "done": 7, "refused": 4, "deaths": 0}
    worker["trouble"] = "secret"
    report.report_on(Supervised(worker=worker, scheduler=RUNNING | {"schedules": 3, "rows_age": None}))
    *shown, dropped = [line for line in lines() if "schedule=" not in line]
    assert shown == [
        'loco_component_up{component="worker"} 1',
        'loco_component_up{component="scheduler"} 1',
        'loco_component_deaths{component="worker"} 0',
        'loco_worker_last_poll_age_seconds{component="worker"} 0.5',
        'loco_worker_jobs{component="worker",state="running"} 2',
        'loco_worker_jobs{component="worker",state="buffered"} 1',
        'loco_worker_attempts_total{component="worker",result="done"} 7',
        'loco_outcomes_refused_total{component="worker"} 4',
        'loco_scheduler_schedules{component="scheduler"} 3',
    ]
    assert dropped.startswith("loco_log_dropped_lines_total ")  # the number is that of all tests of this process


def test_a_component_that_makes_no_progress_is_down():
    report.report_on(Supervised(feed={"state": "failed", "alive": False}))
    assert 'loco_component_up{component="feed"} 0' in lines()


def test_an_age_that_is_not_known_yet_is_left_out():
    report.report_on(Supervised(worker=RUNNING | {"last_poll_age": None}))
    assert not [line for line in lines() if "last_poll_age" in line]


def test_ticks_are_counted_by_schedule(monkeypatch):
    monkeypatch.setattr(process_metrics, "counts", counts := TickCounts())
    report.report_on(Supervised(scheduler=RUNNING))
    counts.know({"nightly": lambda: 86400.0, "once": lambda: 0.0})
    counts.add('a"b', SKIPPED, "overlap")
    assert [line for line in lines() if "ticks" in line] == [
        r'loco_ticks_total{schedule="a\"b",outcome="skipped",reason="overlap"} 1',
        'loco_ticks_total{schedule="nightly",outcome="fired"} 0',
        'loco_ticks_total{schedule="once",outcome="fired"} 0',
    ]
    assert 'loco_schedule_period_seconds{schedule="nightly"} 86400' in lines()
    assert not [line for line in lines() if "last_fired" in line or ("once" in line and "ticks" not in line)]
    counts.add("nightly", FIRED)
    [fired] = [
        line for line in lines() if line.startswith('loco_schedule_last_fired_timestamp_seconds{schedule="nightly"}')
    ]
    [known] = [line for line in lines() if line.startswith('loco_schedule_known_timestamp_seconds{schedule="nightly"}')]
    assert float(fired.split()[-1]) >= float(known.split()[-1])


def test_each_family_has_one_help():
    kinds: dict[str, set[str]] = {}
    helps: dict[str, list[str]] = {}
    for shown in SHOWN.values():
        kinds.setdefault(shown.name, set()).add(shown.kind)
        helps.setdefault(shown.name, []).append(shown.help)
        assert (shown.kind == "counter") == shown.name.endswith("_total")
    assert all(len(each) == 1 for each in kinds.values())
    assert all(each[0] and not any(each[1:]) for each in helps.values())
